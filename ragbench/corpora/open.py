"""Opens built corpora by name: a stored corpus or a union, as the manifest says."""

from __future__ import annotations

from ragbench.base import home
from ragbench.base.errors import DataError
from ragbench.corpora.corpus import Corpus, folder_of, is_built, manifest_of
from ragbench.corpora.store import StoredCorpus
from ragbench.corpora.union import Union, split_name


def open_corpus(name: str, *, is_checked: bool = True) -> Corpus:
    """Return a built corpus, open.

    Args:
        name: The corpus, or ``NAME--NAME`` for a union without a card.
        is_checked: Whether its files are compared with the manifest's checksums.

    Returns:
        The open corpus; a ``Union`` if it consists of several others.

    Raises:
        DataError: It is not built, or is damaged.
    """
    if not is_built(name):
        if not split_name(name):
            home.find_yaml("corpora", name, what="corpus")
        raise DataError(
            f"the corpus {name!r} is not built",
            where=str(folder_of(name)),
            fix=f"ragbench corpus build {name}",
        )
    folder = folder_of(name)
    if manifest_of(folder).members:
        return Union(folder, is_checked=is_checked)
    return StoredCorpus(folder, is_checked=is_checked)
