//! The identity map of a connector.

use bus_core::{ObjectId, ObjectKey, ObjectType};
use bus_runtime::{Binding, Bus};

use crate::answer::{Answer, Trouble, text};
use crate::words::{Link, Unlink, WhichBindings, WhichObject};

const COLUMNS: &[&str] = &["type", "id", "external_id"];

pub(crate) async fn list(bus: &Bus, which: &WhichBindings) -> Result<Answer, Trouble> {
    let after = match which.after.as_deref() {
        Some([object_type, external_id]) => {
            let object_type: ObjectType = object_type.parse().map_err(|error| Trouble(format!("{error}")))?;
            // The map goes on behind type and external id; the object's own id does not matter.
            let object = ObjectKey { object_type, id: ObjectId::Number(0) };
            Some(Binding { connector: which.connector.clone(), object, external_id: external_id.clone() })
        }
        _ => None,
    };
    let bindings = bus.identity(&which.connector).list(after.as_ref(), usize::from(which.limit)).await?;
    let row = |known: Binding| {
        vec![text(&known.object.object_type), text(&known.object.id), text(&known.external_id)]
    };
    Ok(Answer::Rows {
        columns: COLUMNS,
        rows: bindings.into_iter().map(row).collect(),
        none: "nothing is bound",
    })
}

pub(crate) async fn link(bus: &Bus, link: &Link) -> Result<Answer, Trouble> {
    let (object, by) = (key(&link.object), link.by.to_operator());
    let map = bus.identity(&link.object.connector);
    let displaced = if link.replace {
        map.relink(&object, &link.external_id, &by).await?
    } else {
        map.link(&object, &link.external_id, &by).await?;
        Vec::new()
    };
    let was: Vec<_> = displaced
        .iter()
        .map(|was| format!("; {} is not `{}` any more", was.object, was.external_id))
        .collect();
    Ok(Answer::Said(format!("{object} is `{}` from now on{}", link.external_id, was.concat())))
}

pub(crate) async fn unlink(bus: &Bus, unlink: &Unlink) -> Result<Answer, Trouble> {
    let object = key(&unlink.object);
    let was = bus.identity(&unlink.object.connector).unlink(&object, &unlink.by.to_operator()).await?;
    Ok(Answer::Said(match was {
        Some(was) => format!("{object} is not `{was}` any more"),
        None => format!("{object} was not bound"),
    }))
}

fn key(object: &WhichObject) -> ObjectKey {
    ObjectKey { object_type: object.object_type.clone(), id: ObjectId::from_text(&object.id) }
}
