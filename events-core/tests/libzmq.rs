//! What the engine needs of the libzmq that was built.

/// Without it tcp is refused: see docs/decisions/zmq-build.md.
#[test]
fn libzmq_has_curve_and_ipc() {
    assert_eq!(zmq::has("curve"), Some(true));
    assert_eq!(zmq::has("ipc"), Some(true));
    assert!(zmq::version() >= (4, 3, 5));
}
