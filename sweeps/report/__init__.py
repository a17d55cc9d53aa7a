"""The comparison report: what studies found, side by side, with as much claim as they carry."""
