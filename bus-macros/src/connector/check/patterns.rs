//! What a criterion may be.

use quote::ToTokens;
use syn::LitStr;

use crate::entries::Entries;
use crate::errors::Errors;

/// In a pattern `%` stands for any run of characters; what looks like a pattern of another kind matches nothing.
pub(super) fn it_is_a_pattern(
    entries: &Entries,
    word: &str,
    example: &str,
    errors: &mut Errors,
) -> Option<LitStr> {
    let pattern = entries.text(word, example, errors)?;
    let text = pattern.value();
    if text.is_empty() {
        errors.refuse(
            &pattern,
            format!(
                "`{word} = \"\"` in {} matches nothing: write `{word} = \"{example}\"`, or take it away",
                entries.attribute
            ),
        );
    } else if text.contains('*') {
        errors.refuse(
            &pattern,
            format!(
                "`{word} = {}` in {} takes `*` for itself; any run of characters is `%`: write `{word} = \"{}\"`",
                pattern.to_token_stream(),
                entries.attribute,
                text.replace('*', "%")
            ),
        );
    }
    Some(pattern)
}
