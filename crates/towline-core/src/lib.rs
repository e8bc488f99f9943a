//! The life of one transfer as a pure state machine, part plans, retry decisions, ports.
