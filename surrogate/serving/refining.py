"""The refined answer: rounds of modes until no history moves, without the network.

Shape letters: H histories, T steps, S states.
"""

from surrogate.fields import IntArray
from surrogate.model.anchor_path import anchor_path
from surrogate.model.anchor_state import anchor_states, displacement_reference, token_actions
from surrogate.model.decoder import PlasticField, TokenScalars, anchor_scalars
from surrogate.physics.reduced import corrected
from surrogate.physics.reduced_span import ReducedSettings
from surrogate.serving.prepared import Prepared

# Rounds beyond those of the anchor, at most, until one moves no history by more than this share of its size. A round
# leaves about a seventh of what it moved.
REFINING = ReducedSettings(enrichments=0, further=4, tolerance=0.01)


def refined(item: Prepared, wanted: IntArray) -> tuple[PlasticField, TokenScalars]:
    """The answer of a wider span.

    Args:
        item: with the anchor's span.
        wanted: history and step of each state that is asked for [S, 2].

    Returns:
        The plastic strain of these states, and what the wider anchor reads at the tokens at every step.
    """
    factors = item.path.factors
    reduced = corrected(item.anchor, factors, item.reduced, REFINING)
    path = anchor_path(item.anchor, factors, reduced)
    states = anchor_states(item.graph, item.fields, path, wanted, None)
    actions = token_actions(item.graph, item.fields, path)
    features, _ = displacement_reference(item.fields, path, actions)
    return PlasticField(states.strain, states.equivalent), anchor_scalars(actions, features)
