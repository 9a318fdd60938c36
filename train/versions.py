"""The versions a fine-tune needs, each bound with its reason: outside them training goes wrong, mostly in silence.

Looked at before anything heavy is imported, since some of the wrong versions cannot be imported at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from packaging.version import Version

from launch.errors import InputError

_CORRECTED = "launch/hybrid.py corrects the model's own code, and was tried with 5.20 to 5.23 only"


@dataclass(frozen=True)
class Window:
    """The versions of one package that are right.

    Args:
        package: its name on PyPI.
        at_least: the first right version.
        below: the first version that is not known to be right; None: there is no such bound.
        too_old: first version → what goes wrong from there on, up to the next entry or ``at_least``, in ascending
            order.
        too_new: what may go wrong from ``below`` on.
        required: False if training does without the package (kernels).
    """

    package: str
    at_least: str
    below: str | None
    too_old: dict[str, str]
    too_new: str = ""
    required: bool = True

    @property
    def specifier(self) -> str:
        """As pip takes it: ``trl>=1.16,<1.17``."""
        return f"{self.package}>={self.at_least}" + (f",<{self.below}" if self.below else "")

    def complaint(self, installed: str) -> str | None:
        """Why ``installed`` is not right; None if it is."""
        found = Version(installed)
        if found < Version(self.at_least):
            reasons = [reason for first, reason in self.too_old.items() if found >= Version(first)]
            return reasons[-1] if reasons else next(iter(self.too_old.values()))
        return self.too_new if self.below is not None and found >= Version(self.below) else None


WINDOWS = (
    Window(
        package="transformers",
        at_least="5.20",
        below="5.24",
        too_old={
            "0": "before 5.3 it has no nemotron_h of its own",
            "5.3": "5.3 to 5.7 draw dt_bias and out_proj of a hybrid anew after they were loaded",
            "5.8": "5.8 to 5.14 set seq_idx to None, so that in packed rows the SSM state of one document leaks into "
            "the next",
            "5.15": "5.15 to 5.19 drop seq_idx in silence where the CUDA kernels are missing, so that in packed rows "
            "the SSM state of one document leaks into the next",
        },
        too_new=_CORRECTED,
    ),
    Window(
        package="trl",
        at_least="1.16",
        below="1.17",
        too_old={"0": "before 1.16 it sends no seq_idx with packed rows, so that documents leak into each other"},
        too_new="prompt and completion masks and packed rows were tried with 1.16 only",
    ),
    Window(
        package="peft",
        at_least="0.21",
        below="0.22",
        too_old={"0": "before 0.21 it takes adapters on out_proj and conv1d of a Mamba block, which never train"},
        too_new="the names that adapters and merged weights are saved under were tried with 0.21 only",
    ),
    Window(
        package="mamba-ssm",
        at_least="2.3.0",
        below=None,
        too_old={"0": "before 2.3.0 its fused kernel does not keep the documents of a packed row apart"},
        required=False,
    ),
)


def check_versions(installed: Callable[[str], str] = version) -> None:
    """Compare what is installed with ``WINDOWS``.

    Args:
        installed: version of a package by its name, as ``importlib.metadata.version``.

    Raises:
        InputError: a package is missing or of a version that is not right; the message says why and what to install.
    """
    for window in WINDOWS:
        try:
            found = installed(window.package)
        except PackageNotFoundError:
            if window.required:
                raise InputError(
                    f"{window.package} is not installed; install it with: pip install '{window.specifier}'"
                ) from None
            continue
        complaint = window.complaint(found)
        if complaint is not None:
            raise InputError(
                f"{window.package} {found} is installed, training needs {window.specifier}: {complaint}; "
                f"install it with: pip install '{window.specifier}'"
            )
