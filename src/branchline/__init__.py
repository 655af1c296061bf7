"""What the steps of Branchline's flows do: pure rules, and the adapters around them. Knows no Prefect."""
