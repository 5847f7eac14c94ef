"""The models there are: those that ship with the package, and folders of one's own."""

from dataclasses import dataclass
from pathlib import Path

from surrogate.errors import CheckpointError
from surrogate.model.description import DESCRIPTION, read_description

SHIPPED = Path(__file__).parent / "models"
CARD = "CARD.md"


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model.

    Attributes:
        name: how predictions name it.
        version: of its training.
        description: one sentence.
        path: its folder.
        text: the whole card, Markdown.
    """

    name: str
    version: str
    description: str
    path: Path
    text: str


def list_models() -> tuple[ModelCard, ...]:
    """Cards of the models that ship with the package, newest version first."""
    folders = sorted(path.parent for path in SHIPPED.glob(f"*/{DESCRIPTION}"))
    return tuple(sorted((_card(folder) for folder in folders), key=lambda card: card.version, reverse=True))


def find_model(name: str | None) -> Path:
    """Folder of a model.

    Args:
        name: of a shipped model, or a folder; None for the newest shipped one.

    Raises:
        CheckpointError: no such model; the message lists those there are.
    """
    cards = list_models()
    if name is None and cards:
        return cards[0].path
    for card in cards:
        if card.name == name:
            return card.path
    if name is not None and (Path(name) / DESCRIPTION).is_file():
        return Path(name)
    known = ", ".join(card.name for card in cards) or "none"
    raise CheckpointError(f"no model {name or 'installed'!r}; shipped models: {known}; or give a model's folder")


def _card(folder: Path) -> ModelCard:
    description = read_description(folder)
    text = (folder / CARD).read_text() if (folder / CARD).exists() else ""
    version, summary = description.get("version", "0"), description.get("summary", "")
    return ModelCard(folder.name, str(version), str(summary), folder, text)
