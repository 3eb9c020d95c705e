//! Who comes late gets the last event, if the catalog says `retain = true`.

use std::error::Error;
use std::time::Duration;

use events::Client;
use events::catalog::MailUnreadMessages;
use events::server::Server;

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start("tcp://127.0.0.1:0", "tcp://127.0.0.1:0")?;
    let at = server.addresses();

    let mail = Client::connect(&at.emit, &at.reg)?;
    for number in [1, 2, 3] {
        mail.emit(MailUnreadMessages { userid: "me", number })?;
    }
    mail.flush(Duration::from_secs(10))?;

    // A window that opens only now.
    let window = Client::connect(&at.emit, &at.reg)?;
    let mut unread = window.subscribe::<MailUnreadMessages>()?;
    let last = unread.recv_timeout(Duration::from_secs(10)).ok_or("nothing was retained")?;
    println!("{} unread mails, known for {:?}", last.number, last.age());
    assert!(last.is_retained() && last.number == 3);

    // What comes from now on is news.
    mail.emit(MailUnreadMessages { userid: "me", number: 4 })?;
    let news = unread.recv_timeout(Duration::from_secs(10)).ok_or("the news did not arrive")?;
    assert!(!news.is_retained() && news.number == 4);
    Ok(())
}
