"""The door: takes a command, stamps its receipt, has it recorded, and tells the workflow."""
