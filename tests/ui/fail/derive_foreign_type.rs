use std::net::IpAddr;

#[derive(events::Event)]
struct Moved {
    to: IpAddr,
}

fn main() {}
