"""What each step of an operation does. A step gets a Work and plain values, and gives plain values back."""
