//! Two systems kept in step, both ways: this application's persons and companies, and the cards of Radicale, a CardDAV
//! server.
//!
//! ```text
//! cargo run --example two_way                tells the story, and checks each step of it
//! cargo run --example two_way -- FOLDER      the same; Radicale is installed into this folder
//! rm -r two-way-data                         removes everything that it wrote
//! ```
//!
//! It needs Python 3 with venv and pip. Unless Python has Radicale, that is installed into `two-way-data/radicale`, and
//! nowhere else. A change travels once and stops: what the server is told comes back with the next poll, says nothing
//! new, and goes nowhere.
//!
//! | File | What stands in it |
//! |---|---|
//! | `objects.rs` | what the application knows |
//! | `carddav.rs` | the connector |
//! | `card.rs` | what a vCard says of a person or a company |
//! | `client.rs` | as much of CardDAV as it takes |
//! | `story.rs` | what happens, step by step |
//! | `scene.rs` | the application and the server, and what is looked at |
//! | `server.rs` | the server: installed, started and stopped |

mod card;
mod carddav;
mod client;
mod objects;
mod scene;
mod server;
mod story;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bus_runtime::BusError;

use scene::{Failing, Scene};
use server::Server;

/// Where everything is kept, in the current folder.
const DATA: &str = "two-way-data";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match error.downcast_ref::<BusError>() {
                Some(error) => eprintln!("{error:?}"),
                None => eprintln!("{error}"),
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Failing<()> {
    let data = Path::new(DATA);
    // Each run tells the story from its beginning.
    for remains in ["server", "bus"].map(|name| data.join(name)) {
        if remains.exists() {
            fs::remove_dir_all(remains)?;
        }
    }
    fs::create_dir_all(data.join("bus"))?;
    let radicale = std::env::args_os().nth(1).map_or_else(|| data.join("radicale"), PathBuf::from);
    let mut server = Server::new(server::install(&radicale)?, &data.join("server"))?;
    server.start().await?;
    let mut scene = Scene::set(data, server).await?;
    let told = story::tell(&mut scene).await;
    // Whatever became of it.
    scene.bus.shutdown().await;
    told
}
