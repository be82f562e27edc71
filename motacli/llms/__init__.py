"""Language models: clients, and how to ask them a million questions without losing one."""
