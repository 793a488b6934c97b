//! Lists of children and of bindings: how they are marked, and what their rule is.

use proc_macro2::Ident;
use syn::ext::IdentExt;

use crate::errors::Errors;
use crate::object::model::DeclaredList;
use crate::object::parse::{self, Field, Read};
use crate::serde_names::field_written;
use crate::suggest;

/// The words of a rule, and the variants of `ListRule`.
const RULES: [(&str, &str); 3] = [("none", "None"), ("incremental", "Incremental"), ("complete", "Complete")];

/// Children and bindings travel with snapshots only and have rules of their own: that a field holds them must be seen
/// where it stands, and no other field may claim it.
pub(super) fn lists_are_marked(field: &Field<'_>, errors: &mut Errors) {
    let (name, ty) = (field.name, field.ty);
    match (field.object.get("children"), parse::children(ty)) {
        (Some(_), None) => errors.refuse(
            ty,
            format!("`#[object(children)]` stands on `{name}`, which holds no children: make it `Children<T>`"),
        ),
        (None, Some(_)) => errors.refuse(
            ty,
            format!("`{name}` holds children but does not say so: write `#[object(children)]` above it"),
        ),
        (Some(_), Some(child)) if parse::referenced(child).is_some() => errors.refuse(
            child,
            format!(
                "`{name}` holds references, not children, which are owned and sent inside: make it `Bindings<T>` with \
                 `#[object(bindings)]`"
            ),
        ),
        (Some(_), Some(_)) | (None, None) => {}
    }
    match (field.object.get("bindings"), parse::bindings(ty)) {
        // One refusal is enough where both words stand on it.
        (Some(_), None) if field.object.get("children").is_none() => errors.refuse(
            ty,
            format!("`#[object(bindings)]` stands on `{name}`, which holds none: make it `Bindings<T>`"),
        ),
        (None, Some(_)) => errors.refuse(
            ty,
            format!("`{name}` holds bindings but does not say so: write `#[object(bindings)]` above it"),
        ),
        _ => {}
    }
}

/// The lists whose objects have an identity. Children without a rule are parts of their owner.
pub(super) fn lists<'i>(read: &Read<'i>, errors: &mut Errors) -> Vec<DeclaredList<'i>> {
    let mut lists = Vec::new();
    for field in &read.fields {
        let rule = rule(field, errors);
        let is_children = field.object.get("children").is_some();
        let (of, rule) = match (is_children, rule) {
            (true, Some(rule)) => (parse::children(field.ty), rule),
            (false, rule) if field.object.get("bindings").is_some() => {
                (parse::bindings(field.ty), rule.unwrap_or("Incremental"))
            }
            _ => continue,
        };
        let Some(of) = of else { continue };
        let field_name = field_written(field.name, &field.serde, &read.serde);
        lists.push(DeclaredList { name: field.name, field: field_name, of, rule, is_children });
    }
    lists
}

/// What the list says about what it does not name. A rule on anything else would be a wish that nobody hears.
fn rule(field: &Field<'_>, errors: &mut Errors) -> Option<&'static str> {
    let entry = field.object.get("rule")?;
    let is_list = ["children", "bindings"].into_iter().any(|word| field.object.get(word).is_some());
    if !is_list {
        let message = format!(
            "`rule` stands on `{}`, which is no list: write it beside `children` or `bindings`, or take it away",
            field.name
        );
        errors.refuse(&entry.word, message);
        return None;
    }
    let remedy = "takes a rule: write `rule = incremental`, `rule = complete` or `rule = none`";
    let word: Ident = entry.equals(remedy, errors)?;
    let given = word.unraw().to_string();
    if let Some((_, variant)) = RULES.iter().find(|(known, _)| *known == given) {
        return Some(variant);
    }
    let known = RULES.map(|(word, _)| word);
    errors.refuse(&word, format!("`rule = {given}` is no rule: {}", suggest::remedy(&given, &known)));
    None
}
