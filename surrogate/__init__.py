"""The front door: the nouns and verbs that users need."""
