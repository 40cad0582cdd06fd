"""Everything that touches the world on behalf of a workflow, above all the recording of steps."""
