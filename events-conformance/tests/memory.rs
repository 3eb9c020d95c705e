//! The suite over memory.

use std::sync::Arc;

use events_conformance::every_promise;
use events_conformance::suite::bench::Bench;
use events_core::engine::memory::MemoryEngine;

every_promise!(Bench::new(Arc::new(MemoryEngine::new()), "memory://emit", "memory://reg"));
