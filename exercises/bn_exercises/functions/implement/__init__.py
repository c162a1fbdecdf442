"""Problem 6, Implement it: functions, judged by what they return on inputs that tell right from nearly right."""
