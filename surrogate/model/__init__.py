"""The graph JEPA that predicts plastic strain."""
