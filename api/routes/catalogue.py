"""What the service has to offer: materials and models."""

from fastapi import APIRouter

from api.errors import NotFoundError, declared
from api.schemas import MaterialList, MaterialView, ModelCardView, ModelList, ModelView
from surrogate import library, list_models, material_spec

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get("/materials", response_model_exclude_none=True, summary="The library of materials")
def materials() -> MaterialList:
    """Names that `material` takes, with the constants behind them."""
    return MaterialList(
        materials=[
            MaterialView(**dict(material_spec(material)), hardening_modulus_pa=material.hardening_modulus_pa)
            for material in library()
        ]
    )


@router.get("/models", responses=declared(503), summary="The models that can answer")
def models() -> ModelList:
    """Installed models; the first is the default."""
    return ModelList(
        models=[ModelView(name=card.name, version=card.version, description=card.description) for card in list_models()]
    )


@router.get("/models/{name}", responses=declared(404, 503), summary="A model")
def model(name: str) -> ModelCardView:
    """The card of a model."""
    cards = list_models()
    for card in cards:
        if card.name == name:
            return ModelCardView(name=card.name, version=card.version, description=card.description, card=card.text)
    known = ", ".join(card.name for card in cards) or "none"
    raise NotFoundError(f"no model {name[:100]!r}; installed: {known}")
