"""What this machine has and lacks for building: facts about it, judged by pure functions, and attempts."""
