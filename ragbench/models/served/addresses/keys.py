"""Keys of an entry of ``models`` that say where its servers are and what they can take."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, PrivateAttr, field_validator, model_validator

from ragbench.base.endpoint import Endpoint, parse
from ragbench.models.served.addresses.urlfile import endpoints_in, path_of, read_text
from ragbench.models.spec import BackendOptions

AT_ONCE = 32


class AddressKeys(BackendOptions):
    """Keys of a backend that asks one or several servers.

    The file of ``url_file`` is read once here, so that what is checked for trust is what is asked.

    Attributes:
        url: Base address of a server, such as ``http://host:8000/v1``, or several.
        url_file: File with one address per line, in place of ``url``; it may change during a run.
        concurrency: Number of requests that each server may have at a time; 32 by default.

    Raises:
        UsageError: The file is missing or cannot be read.
        DataError: A line of it is not an address.
    """

    url: str | tuple[str, ...] | None = None
    url_file: str | None = None
    concurrency: int | None = Field(None, gt=0, le=256)
    _listed: tuple[Endpoint, ...] = PrivateAttr(())

    @field_validator("url")
    @classmethod
    def _addresses(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if value == ():
            raise ValueError("the list of addresses is empty")
        for address in (value,) if isinstance(value, str) else value or ():
            parse(address)
        return value

    @model_validator(mode="after")
    def _one_source(self) -> AddressKeys:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("write either `url`, the address of a server, or `url_file`")
        path = self.path
        if path is not None:
            self._listed = endpoints_in(read_text(path), path)
        return self

    @property
    def path(self) -> Path | None:
        """Where ``url_file`` is."""
        return None if self.url_file is None else path_of(self.url_file)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers, as they were when the config was read."""
        if self.url is None:
            return self._listed
        return tuple(parse(u) for u in ((self.url,) if isinstance(self.url, str) else self.url))

    @property
    def at_once(self) -> int:
        """Number of requests that each server may have at a time."""
        return self.concurrency or AT_ONCE
