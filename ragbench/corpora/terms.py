"""Whether a corpus is restricted: by its card now, by its manifest, or by those of its members."""

from __future__ import annotations

from ragbench.base import home
from ragbench.base.endpoint import RESTRICTED
from ragbench.corpora.card import load_card
from ragbench.corpora.corpus import Corpus, is_built
from ragbench.corpora.open import open_corpus
from ragbench.corpora.union import Union, split_name
from ragbench.corpora.union_reader import members_of


def is_restricted(corpus: Corpus) -> bool:
    """Say whether an open corpus, or a member of a union, is restricted."""
    if corpus.manifest.data_use == RESTRICTED:
        return True
    members = corpus.members if isinstance(corpus, Union) else ()
    return _card_says(corpus.name) or any(map(is_restricted, members))


def is_restricted_name(name: str, above: frozenset[str] = frozenset()) -> bool:
    """Say whether a corpus, built or not, or a member of a union is restricted.

    ``above`` are the unions that it is a member of; one of them is not looked at again.

    Raises:
        UsageError: It is not built and has no card.
    """
    if is_built(name):
        return is_restricted(open_corpus(name))
    card, _ = load_card(name)
    inner = above | {name}
    members = [member for member in members_of(card) if member not in inner]
    return card.data_use == RESTRICTED or any(is_restricted_name(m, inner) for m in members)


def _card_says(name: str) -> bool:
    """Say whether the card of a built corpus is restricted; its card may be gone."""
    if name not in dict(home.yaml_names("corpora")) and not split_name(name):
        return False
    return load_card(name)[0].data_use == RESTRICTED
