"""What a command's exit code says, for scripts.

Belongs here: the codes. Who ends with which is the verbs' affair.
"""

FAILED, MISUNDERSTOOD, GATES_FAILED, DATA_FAILED, WAITS, STOPPED = 1, 2, 3, 4, 5, 130
EXIT_CODES = {
    0: "done",
    FAILED: "an expected error, named in one message with its remedy; what is not well (`doctor`, `due`, "
    "`models verify`)",
    MISUNDERSTOOD: "the command was not understood",
    GATES_FAILED: "a gate failed (`evaluate`); nothing passed every criterion (`promote`, `rollout`)",
    DATA_FAILED: "a rule of severity fail is broken (`check-data`); no imported day passes (`import-bars`, `init`)",
    WAITS: "what could be made is made; days that were asked for wait for bars or for the call budget, and are named",
    STOPPED: "stopped by hand; what was stored stays",
}
