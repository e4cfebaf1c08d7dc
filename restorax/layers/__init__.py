"""Layers shared by the models; platform-specific implementations are chosen here, behind one function each."""
