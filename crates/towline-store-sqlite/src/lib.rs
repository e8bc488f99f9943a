//! Towline's embedded store.
