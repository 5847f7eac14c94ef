"""The graph JEPA: geometry encoder, state encoder, predictor, decoders, put together."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from surrogate.model.decoder import FieldDecoder, TokenHeads
from surrogate.model.encoder import Geometry, GeometryEncoder, StateEncoder
from surrogate.model.predictor import InverseDynamics, Predictor


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the network; saved whole in the checkpoint.

    Attributes:
        width: of the latent tokens.
        cell_width: of the geometry embedding of a cell.
        decoder_width: of the field decoder.
        tokens: number of tokens of a part.
        geometry_layers: attention blocks of the geometry encoder.
        predictor_layers: attention blocks of the predictor.
        decoder_layers: message-passing layers of the field decoder.
        dropout: in the predictor.
        gate: cells whose elastic von Mises stress stays below this share of yield are taken as elastic.
    """

    width: int = 64
    cell_width: int = 32
    decoder_width: int = 64
    tokens: int = 96
    geometry_layers: int = 2
    predictor_layers: int = 2
    decoder_layers: int = 3
    dropout: float = 0.05
    gate: float = 0.5

    def as_json(self) -> dict[str, float]:
        """Plain numbers for the checkpoint."""
        return asdict(self)


class GraphJepa(nn.Module):
    """z_0 = E(virgin, g); z_{t+1} = P(z_t, a_t, g); plastic strain = D(z_t, x)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.geometry = GeometryEncoder(config.width, config.cell_width, config.geometry_layers)
        self.state = StateEncoder(config.width)
        self.predictor = Predictor(config.width, config.predictor_layers, config.dropout)
        self.inverse = InverseDynamics(config.width)
        self.field = FieldDecoder(config.width, config.cell_width, config.decoder_width, config.decoder_layers)
        self.heads = TokenHeads(config.width)

    def roll(self, actions: Tensor, geometry: Geometry, start: Tensor | None = None) -> Tensor:
        """Latent rollout.

        Args:
            actions: action features [B, H, T, M, F].
            geometry: of the B parts.
            start: tokens before the first action [B, H, M, D]; None for the virgin part.

        Returns:
            Tokens after each action [B, H, T, M, D].
        """
        batch, histories, steps = actions.shape[:3]
        tokens = start
        if tokens is None:
            virgin = self.state.virgin(geometry)
            tokens = virgin.expand(batch, histories, *virgin.shape[2:])
        states = []
        for step in range(steps):
            tokens = self.predictor(tokens, actions[:, :, step], geometry)
            states.append(tokens)
        return torch.stack(states, dim=2)
