//! A program with a catalog of its own: `events` is all that its `Cargo.toml` names.

use std::error::Error;
use std::time::Duration;

use events::{Client, Timestamp};

/// The events of this shop.
pub mod shop {
    events::catalog!("catalog.toml");
}

use shop::{Item, OrderPlaced, ParcelMoved, State};

fn main() -> Result<(), Box<dyn Error>> {
    let client = Client::in_memory()?;
    let mut parcels = client.subscribe::<ParcelMoved>()?;

    let shop = client.clone();
    client.register::<OrderPlaced>(move |order| {
        println!("{:?}", order.payload());
        let moved =
            ParcelMoved { number: order.number, state: State::Packed, at: Some(Timestamp::now()), express: true };
        if let Err(error) = shop.emit(moved) {
            eprintln!("{error}");
        }
    })?;

    let items = vec![Item { article: "teapot".to_owned(), count: 1 }];
    client.emit(OrderPlaced { number: 7, items, customer: "somebody" })?;

    let parcel = parcels.recv_timeout(Duration::from_secs(10)).ok_or("no parcel")?;
    println!("parcel {} is {:?}", parcel.number, parcel.state);
    assert_eq!((parcel.number, &parcel.state), (7, &State::Packed));
    Ok(())
}
