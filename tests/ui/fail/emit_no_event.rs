fn main() {
    let _ = events::emit("CLIENT_UID");
}
