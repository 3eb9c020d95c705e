//! `events keys`: who may connect over tcp.

use std::io::{self, Write};

use events_core::permission::{Names, Permission};
use events_core::security::{Allowed, Keys};
use serde_json::{Value, json};

use crate::Result;
use crate::args::{KeysArguments, KeysCommand};
use crate::exit::Outcome;

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
        KeysCommand::Allow { file, name, emit, register } => {
            let allowed = keys.allow_only(file, name.as_deref(), together(emit)?, together(register)?)?;
            let (name, key) = (&allowed.name, &allowed.key);
            if file.extension().is_some_and(|extension| extension == "key_secret") {
                eprintln!(
                    "events: `{}` holds a secret, which should never leave the program that has it; only its public half \
                     is filed here",
                    file.display()
                );
            }
            Said {
                text: format!("{name} may connect now, with the key {key}\n{}", rights(&allowed.permission, "  ")),
                json: as_json(&allowed),
            }
        }
        KeysCommand::Revoke { name } => {
            let still = keys.revoke(name)?;
            let text = if still.is_empty() {
                format!("{name} may not connect any more; its connections end\n")
            } else {
                format!("{name} is gone, but the same key may still connect as {}\n", still.join(", "))
            };
            Said { text, json: json!({ "name": name, "still_allowed_as": still }) }
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

/// The patterns of several arguments; none were given if there are none.
fn together(given: &[Names]) -> Result<Option<Names>> {
    if given.len() > 1 && given.contains(&Names::All) {
        return Err(Outcome::usage("`*` stands for everything: give it alone, or not at all"));
    }
    Ok(given.iter().cloned().reduce(|one, other| one.or(&other)))
}

/// What a key may do: one line each.
fn rights(permission: &Permission, indent: &str) -> String {
    let line = |what: &str, names: &Names| match names {
        Names::All => format!("{indent}may {what} everything\n"),
        _ => String::new(),
    };
    line("emit", &permission.emit) + &line("register for", &permission.register) + &limits(permission, indent)
}

/// What a key may do, if that is not everything: one line each.
fn limits(permission: &Permission, indent: &str) -> String {
    let line = |what: &str, names: &Names| match names {
        Names::All => String::new(),
        Names::Only(some) if some.is_empty() => format!("{indent}may {what} nothing\n"),
        Names::Only(_) => format!("{indent}may {what} only {names}\n"),
    };
    line("emit", &permission.emit) + &line("register for", &permission.register)
}

fn as_json(allowed: &Allowed) -> Value {
    let Allowed { name, key, permission } = allowed;
    let mut json = json!({ "name": name, "key": key.as_str() });
    for (what, names) in [("emit", &permission.emit), ("register", &permission.register)] {
        if let Names::Only(patterns) = names {
            json[what] = patterns.iter().map(ToString::to_string).collect();
        }
    }
    json
}

fn list(allowed: &[Allowed]) -> Said {
    let width = allowed.iter().map(|key| key.name.len()).max().unwrap_or_default();
    let row = |allowed: &Allowed| {
        let (name, indent) = (&allowed.name, " ".repeat(width + 2));
        format!("{name:width$}  {}\n{}", allowed.key, limits(&allowed.permission, &indent))
    };
    let rows = allowed.iter().map(row);
    let text = if allowed.is_empty() {
        "nobody may connect; let somebody in by `events keys allow FILE`\n".to_owned()
    } else {
        rows.collect()
    };
    let json = allowed.iter().map(as_json).collect();
    Said { text, json }
}

/// Makes what is not there yet, as the first connection would.
fn show(keys: &Keys) -> Result<Said> {
    let (server, client) = (keys.server()?, keys.client()?);
    let (server, client) = (server.public(), client.public());
    let (folder, allowed) = (keys.folder()?.display(), keys.allowed()?);
    let count = allowed.len();
    let limited = allowed.iter().filter(|key| !key.permission.is_everything()).count();
    Ok(Said {
        text: format!(
            "folder   {folder}\nserver   {server}\n         what clients on other machines need of it is in server.key\n\
             client   {client}\n         what servers on other machines need of it is in client.key\n\
             allowed  {count}, {limited} of them for some events only, see `events keys list`\n"
        ),
        json: json!({
            "folder": folder.to_string(), "server": server.as_str(), "client": client.as_str(), "allowed": count,
            "limited": limited,
        }),
    })
}
