//! `events keys`: who may connect over tcp.

use std::io::{self, Write};

use events_core::security::{Keys, PublicKey};
use serde_json::{Value, json};

use crate::Result;
use crate::args::{KeysArguments, KeysCommand};

/// What is printed: for people, or for scripts.
struct Said {
    text: String,
    json: Value,
}

pub(crate) fn run(arguments: &KeysArguments) -> Result {
    let keys = Keys::default();
    let said = match &arguments.command {
        KeysCommand::New { name, out } => {
            let folder = match out {
                Some(folder) => folder.clone(),
                None => keys.folder()?.join("made"),
            };
            let (secret, public) = Keys::make(name, &folder)?;
            let (secret, public) = (secret.display().to_string(), public.display().to_string());
            Said {
                text: format!(
                    "secret  {secret}\npublic  {public}\n\n\
                     The secret goes to the program, as `client.key_secret` in its folder of keys, over a channel that nobody can \
                     read.\nThe public key goes to the server: events keys allow {public}\n"
                ),
                json: json!({ "secret": secret, "public": public }),
            }
        }
        KeysCommand::List => list(&keys.allowed()?),
        KeysCommand::Allow { file, name } => {
            let (name, key) = keys.allow(file, name.as_deref())?;
            Said {
                text: format!("{name} may connect now, with the key {key}\n"),
                json: json!({ "name": name, "key": key.as_str() }),
            }
        }
        KeysCommand::Revoke { name } => {
            keys.revoke(name)?;
            Said {
                text: format!("{name} may not connect any more; its connections end\n"),
                json: json!({ "name": name }),
            }
        }
        KeysCommand::Show => show(&keys)?,
    };
    let mut out = io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", said.json)?
    } else {
        write!(out, "{}", said.text)?
    }
    Ok(())
}

fn list(allowed: &[(String, PublicKey)]) -> Said {
    let width = allowed.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let rows = allowed.iter().map(|(name, key)| format!("{name:width$}  {key}\n"));
    let text = if allowed.is_empty() {
        "nobody may connect; let somebody in by `events keys allow FILE`\n".to_owned()
    } else {
        rows.collect()
    };
    let json = allowed.iter().map(|(name, key)| json!({ "name": name, "key": key.as_str() })).collect();
    Said { text, json }
}

/// Makes what is not there yet, as the first connection would.
fn show(keys: &Keys) -> Result<Said> {
    let (server, client) = (keys.server()?, keys.client()?);
    let (server, client) = (server.public(), client.public());
    let (folder, count) = (keys.folder()?.display(), keys.allowed()?.len());
    Ok(Said {
        text: format!(
            "folder   {folder}\nserver   {server}\n         what clients on other machines need of it is in server.key\n\
             client   {client}\n         what servers on other machines need of it is in client.key\n\
             allowed  {count}, see `events keys list`\n"
        ),
        json: json!({
            "folder": folder.to_string(), "server": server.as_str(), "client": client.as_str(), "allowed": count,
        }),
    })
}
