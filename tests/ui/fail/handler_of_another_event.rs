mod catalog {
    events::catalog!("../events.toml");
}

use events::Received;

fn main() {
    let _ = events::register::<catalog::ClientUid>(|_: &Received<catalog::MailUnreadMessages>| {});
}
