//! Doc comments as text.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The first line of the doc comment, or nothing.
pub(crate) fn summary(attributes: &[Attribute]) -> String {
    lines(attributes).into_iter().find(|line| !line.is_empty()).unwrap_or_default()
}

/// The doc comment as running text: a paragraph is one line, an item of a list is one line.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    let mut between_paragraphs = false;
    for line in lines(attributes) {
        if line.is_empty() {
            between_paragraphs = true;
            continue;
        }
        let is_item = line.starts_with("- ") || line.starts_with("* ");
        if !text.is_empty() {
            text.push_str(match (between_paragraphs, is_item) {
                (true, _) => "\n\n",
                (false, true) => "\n",
                (false, false) => " ",
            });
        }
        text.push_str(&line);
        between_paragraphs = false;
    }
    text
}

fn lines(attributes: &[Attribute]) -> Vec<String> {
    attributes
        .iter()
        .filter_map(doc)
        .flat_map(|doc| doc.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>())
        .collect()
}

/// What one `///` line or one `#[doc = "..."]` says. An empty line is an empty line.
fn doc(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    if !pair.path.is_ident("doc") {
        return None;
    }
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else {
        return None;
    };
    let text = text.value();
    Some(if text.is_empty() { "\n".to_owned() } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn a_doc_comment_becomes_running_text() {
        let item: syn::ItemStruct = parse_quote! {
            /// Where the CRM
            /// answers.
            ///
            /// One of:
            /// - this
            /// - that
            #[doc(hidden)]
            struct S;
        };
        assert_eq!(summary(&item.attrs), "Where the CRM");
        assert_eq!(text(&item.attrs), "Where the CRM answers.\n\nOne of:\n- this\n- that");
    }
}
