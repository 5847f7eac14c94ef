"""The action-conditioned predictor: latent tokens one load increment further.

Shape letters: B parts, G histories (x steps), M tokens, D width.
"""

import torch
from torch import Tensor, nn

from surrogate.model.attention import AttentionBlock
from surrogate.model.encoder import Geometry
from surrogate.model.invariant_features import FEATURE_COUNT


class Predictor(nn.Module):
    """z_{t+1} = z_t + P(z_t, a_t, g).

    The action is the elastic stress increment at each token's hottest point, read as invariants together with the
    reduced anchor's state there (`point_features`); its mean over tokens conditions every block.
    """

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.action = nn.Sequential(nn.Linear(FEATURE_COUNT, width), nn.GELU(), nn.Linear(width, width))
        self.mix = nn.Linear(3 * width, width)
        self.blocks = nn.ModuleList([AttentionBlock(width, dropout, width) for _ in range(layers)])
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.bias)
        nn.init.normal_(self.out.weight, std=0.02)

    def forward(self, tokens: Tensor, action: Tensor, geometry: Geometry) -> Tensor:
        """Tokens [B, G, M, D] and action features [B, G, M, FEATURE_COUNT] -> next tokens [B, G, M, D]."""
        embedded = self.action(action)
        known = geometry.tokens[:, None].expand_as(tokens)
        hidden = self.mix(torch.cat([tokens, embedded, known], dim=-1))
        condition = embedded.mean(dim=2, keepdim=True)
        for block in self.blocks:
            hidden = block(hidden, geometry.bias, condition)
        return tokens + self.out(hidden)


class InverseDynamics(nn.Module):
    """Which action led from one state to the next; an auxiliary task that keeps the action in the tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, FEATURE_COUNT))

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Tokens before and after [..., D] -> action features [..., FEATURE_COUNT]."""
        return self.layers(torch.cat([before, after], dim=-1))
