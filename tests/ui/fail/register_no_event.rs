fn main() {
    let _ = events::register::<String>(|_| {});
}
