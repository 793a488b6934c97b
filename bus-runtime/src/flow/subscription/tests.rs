//! The rules of matching as tables, and against a naive reading of them. Over 400 lines, because the rules are.

use super::*;
use bus_core::{ObjectId, ObjectType, Operation, PageOperation, PagePlace, SiteName, Subject};
use proptest::prelude::*;

use ObjectOperation::{Create, Delete, Update};

fn change(object_type: &str, operation: ObjectOperation) -> ChangeSummary {
    ChangeSummary {
        object_type: ObjectType::parse(object_type).unwrap(),
        id: ObjectId::Number(17),
        operation: operation.into(),
        code_name: None,
        display_name: None,
        site: None,
        page: None,
        origin: None,
    }
}

fn user(operation: ObjectOperation) -> ChangeSummary {
    change("app.user", operation)
}

fn on_site(site: &str) -> ChangeSummary {
    ChangeSummary { site: Some(SiteName::parse(site).unwrap()), ..user(Update) }
}

fn called(code_name: &str) -> ChangeSummary {
    ChangeSummary { code_name: Some(code_name.to_owned()), ..user(Update) }
}

fn page(class_name: &str, alias_path: &str, culture: &str) -> ChangeSummary {
    let place = PagePlace {
        class_name: class_name.to_owned(),
        alias_path: alias_path.to_owned(),
        culture: culture.to_owned(),
    };
    ChangeSummary { page: Some(place), ..change("cms.page", Update) }
}

fn launch() -> ChangeSummary {
    page("News.Article", "/News/2026/Launch", "en-US")
}

fn to_pages() -> Subscription {
    Subscription::to("cms.page")
}

fn of_class(pattern: &'static str) -> Subscription {
    Subscription { class_name: Some(pattern), ..to_pages() }
}

fn at(pattern: &'static str) -> Subscription {
    Subscription { alias_path: Some(pattern), ..to_pages() }
}

fn in_culture(pattern: &'static str) -> Subscription {
    Subscription { culture: Some(pattern), ..to_pages() }
}

fn check(subscription: Subscription, before: Option<&ChangeSummary>, after: &ChangeSummary, expected: bool) {
    let matcher = Matcher::from_iter([("k", subscription)]);
    let found: Vec<_> = matcher.matching(before, after).collect();
    let all = [&("k", subscription)];
    let none: [&(&str, Subscription); 0] = [];
    let expected = if expected { &all[..] } else { &none[..] };
    assert_eq!(found, expected, "{subscription:?}\nbefore {before:?}\nafter {after:?}");
}

#[test]
fn a_change_matches_when_all_given_criteria_hold() {
    let to = Subscription::to;
    let corp = || on_site("corp");
    let staff = || ChangeSummary { code_name: Some("Staff".into()), ..on_site("corp") };
    #[rustfmt::skip]
    let rows = vec![
        // object type
        (to("app.user"),                               user(Create),        true),
        (to("app.User"),                               user(Create),        true),
        (to("app.use"),                                user(Create),        false),
        (to("app.users"),                              user(Create),        false),
        (to("app.user_role"),                          user(Create),        false),
        (to("app.%"),                                  user(Create),        true),
        (to("APP.%"),                                  user(Create),        true),
        (to("%.user"),                                 user(Create),        true),
        (to("%"),                                      user(Create),        true),
        (to("%%"),                                     user(Create),        true),
        (to("a%.u%r"),                                 user(Create),        true),
        (to("%.%.%"),                                  user(Create),        false),
        (to("cms.%"),                                  user(Create),        false),
        (to("app_user"),                               user(Create),        false), // `_` is no wildcard
        (to("app?user"),                               user(Create),        false),
        (to("app.*"),                                  user(Create),        false),
        (to(""),                                       user(Create),        false),
        // operation
        (to("app.user").on(&[Create]),                 user(Create),        true),
        (to("app.user").on(&[Create]),                 user(Update),        false),
        (to("app.user").on(&[Create, Delete]),         user(Delete),        true),
        (to("app.user").on(&[]),                       user(Delete),        true),  // none named means all
        (to("app.%").on(&[Update]),                    user(Delete),        false),
        // site
        (to("app.user"),                               corp(),              true),
        (to("app.user").global(),                      user(Update),        true),
        (to("app.user").global(),                      corp(),              false),
        (to("app.user").site("corp"),                  corp(),              true),
        (to("app.user").site("CORP"),                  corp(),              true),
        (to("app.user").site("c%p"),                   corp(),              true),
        (to("app.user").site("corp.eu"),               corp(),              false),
        (to("app.user").site("corp"),                  user(Update),        false),
        (to("app.user").site("%"),                     corp(),              true),
        (to("app.user").site("%"),                     user(Update),        false), // global is no site
        // code name
        (to("app.user").code_name("ada"),              called("Ada"),       true),
        (to("app.user").code_name("ada%"),             called("ada"),       true),
        (to("app.user").code_name("ada%"),             called("ada.l"),     true),
        (to("app.user").code_name("ada"),              called("ada.l"),     false),
        (to("app.user").code_name("%"),                called(""),          true),
        (to("app.user").code_name("%"),                user(Update),        false), // has none
        (to("app.user").code_name("ÉTÉ%"),             called("été-2026"),  true),
        (to("app.user").code_name("ΟΔΟΣ"),             called("οδος"),      true),
        (to("app.user").code_name("ΟΔΟΣ%"),            called("οδος"),      true),
        (to("app.user").code_name("istanbul"),         called("İstanbul"),  false), // a dotted I is no I
        (to("app.user").code_name("İ%"),               called("i̇zmir"),     true),
        (to("app.user").code_name(".*"),               called("ada"),       false), // no regular expression
        (to("app.user").code_name("[ada]"),            called("[ADA]"),     true),
        (to("app.user").code_name(r"a\%"),             called(r"a\b"),      true),  // nothing escapes
        // several at once
        (to("app.user").site("corp").code_name("st%"), staff(),             true),
        (to("app.user").site("corp").code_name("ad%"), staff(),             false),
        (to("app.user").site("home").code_name("st%"), staff(),             false),
        (to("app.user").site("corp").on(&[Create]),    staff(),             false),
        // pages
        (to_pages(),                                   launch(),            true),
        (of_class("news.article"),                     launch(),            true),
        (of_class("news.%"),                           launch(),            true),
        (of_class("blog.%"),                           launch(),            false),
        (at("/News/%"),                                launch(),            true),
        (at("/news/%/launch"),                         launch(),            true),
        (at("/News"),                                  launch(),            false),
        (at("/News%"),                                 launch(),            true),
        (at("%/Launch"),                               launch(),            true),
        (at("/2026/%"),                                launch(),            false), // anchored
        (in_culture("en-us"),                          launch(),            true),
        (in_culture("en-%"),                           launch(),            true),
        (in_culture("de-%"),                           launch(),            false),
        (Subscription { culture: Some("en%"), ..at("/News/%") },  launch(), true),
        (Subscription { culture: Some("de%"), ..at("/News/%") },  launch(), false),
        // what is no page
        (of_class("%"),                                change("cms.page", Update), false),
        (at("%"),                                      change("cms.page", Update), false),
        (in_culture("%"),                              change("cms.page", Update), false),
    ];
    for (subscription, change, expected) in rows {
        check(subscription, None, &change, expected);
    }
}

#[test]
fn an_update_is_matched_on_what_was_or_is() {
    let users = Subscription::to("app.user");
    let named =
        |site: &str, code_name: &str| ChangeSummary { code_name: Some(code_name.into()), ..on_site(site) };
    let old = page("news.article", "/News/Old", "en-US");
    let moved = page("news.article", "/Archive/Old", "en-US");
    let with = |operation: ObjectOperation, change: &ChangeSummary| ChangeSummary {
        operation: operation.into(),
        ..change.clone()
    };
    #[rustfmt::skip]
    let rows = vec![
        // subscription                     before             after                   expected
        (users.site("corp"),                on_site("corp"),   on_site("home"),        true),  // left
        (users.site("corp"),                on_site("home"),   on_site("corp"),        true),  // came
        (users.site("corp"),                on_site("home"),   on_site("away"),        false),
        (users.global(),                    user(Update),      on_site("corp"),        true),
        (users.global(),                    on_site("corp"),   user(Update),           true),
        (users.code_name("ada"),            called("ada"),     called("eve"),          true),
        (users.code_name("ada"),            called("eve"),     called("ada"),          true),
        (at("/News/%"),                     old.clone(),       moved.clone(),          true),
        (at("/Archive/%"),                  old.clone(),       moved.clone(),          true),
        (at("/Home/%"),                     old.clone(),       moved.clone(),          false),
        // all criteria hold of the one or of the other, not one of each
        (users.site("a").code_name("x"),    named("a", "y"),   named("b", "x"),        false),
        (users.site("a").code_name("x"),    named("a", "x"),   named("b", "y"),        true),
        // what was counts for updates only, and never its operation
        (at("/News/%"),                     old.clone(),       with(Create, &moved),   false),
        (at("/News/%"),                     old.clone(),       with(Delete, &moved),   false),
        (users.on(&[Create]),               user(Create),      user(Update),           false),
        (users.on(&[Update]),               user(Create),      user(Update),           true),
    ];
    for (subscription, before, after, expected) in rows {
        check(subscription, Some(&before), &after, expected);
    }
}

#[test]
fn a_subscription_is_given_once_even_when_both_states_match() {
    let matcher = Matcher::from_iter([(1, Subscription::to("app.%")), (2, Subscription::to("app.user"))]);
    assert_eq!(matcher.matching(Some(&user(Update)), &user(Update)).count(), 2);
}

#[test]
fn matches_come_in_the_order_of_the_subscriptions() {
    let types = ["app.user", "%", "cms.page", "app.%", "app.user", "%user", "app.%"];
    let matcher: Matcher<usize> =
        types.into_iter().enumerate().map(|(key, of)| (key, Subscription::to(of))).collect();
    let keys: Vec<usize> = matcher.matching(None, &user(Create)).map(|(key, _)| *key).collect();
    assert_eq!(keys, [0, 1, 3, 4, 5, 6]);
    assert_eq!(Matcher::<usize>::default().matching(None, &user(Create)).count(), 0);
}

#[test]
fn subscriptions_to_other_types_are_not_looked_at() {
    let others = (0..1_000).map(|number| (number, Subscription::to(leak(&format!("app.type{number}")))));
    let archive = (0..1_000).map(|number| (number, Subscription::to("archive.%").site("corp")));
    let ours = [(5_000, Subscription::to("app.user")), (5_001, Subscription::to("%.user").site("corp"))];
    let matcher: Matcher<u32> = others.chain(archive).chain(ours).collect();

    assert_eq!(matcher.candidates(&user(Create)).len(), 2, "of 2,002 subscriptions");
    assert_eq!(matcher.patterns.len(), 2, "the same pattern a thousand times is looked at once");
    assert_eq!(matcher.candidates(&change("app.type7", Create)).len(), 1);
    assert_eq!(matcher.candidates(&change("cms.page", Create)).len(), 0);
    let keys: Vec<u32> = matcher.matching(None, &user(Create)).map(|(key, _)| *key).collect();
    assert_eq!(keys, [5_000]);
}

#[test]
fn a_pattern_made_to_be_slow_is_not() {
    let pattern = Pattern::of(&"%a".repeat(20_000));
    assert!(!pattern.matches(&format!("{}b", "a".repeat(200_000))));
    assert!(pattern.matches(&"a".repeat(200_000)));
}

/// The literal reading of the rules: `%` is nothing, or one character and then `%` again.
fn naive(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('%', rest)), None) => naive(rest, text),
        (Some(('%', rest)), Some((_, tail))) => naive(rest, text) || naive(pattern, tail),
        (Some((wanted, rest)), Some((found, tail))) => wanted == found && naive(rest, tail),
        _ => false,
    }
}

fn naive_text(pattern: &str, text: &str) -> bool {
    let letters = |text: &str| fold(text).chars().collect::<Vec<_>>();
    naive(&letters(pattern), &letters(text))
}

fn naive_state(subscription: &Subscription, state: &ChangeSummary) -> bool {
    let given = |pattern: Option<&str>, text: Option<&str>| match (pattern, text) {
        (None, _) => true,
        (Some(pattern), Some(text)) => naive_text(pattern, text),
        (Some(_), None) => false,
    };
    let page = state.page.as_ref();
    let site = match subscription.site {
        SiteCriterion::Any => true,
        SiteCriterion::Global => state.site.is_none(),
        SiteCriterion::Named(pattern) => given(Some(pattern), state.site.as_ref().map(SiteName::as_str)),
    };
    site && given(subscription.code_name, state.code_name.as_deref())
        && given(subscription.class_name, page.map(|page| page.class_name.as_str()))
        && given(subscription.alias_path, page.map(|page| page.alias_path.as_str()))
        && given(subscription.culture, page.map(|page| page.culture.as_str()))
}

fn naive_matches(subscription: &Subscription, before: Option<&ChangeSummary>, after: &ChangeSummary) -> bool {
    let was = after.operation == Update && before.is_some_and(|before| naive_state(subscription, before));
    naive_text(subscription.object_type, after.object_type.as_str())
        && match after.operation {
            Operation::Object(operation) => {
                subscription.of == Subject::Objects
                    && (subscription.operations.is_empty() || subscription.operations.contains(&operation))
            }
            Operation::Page(operation) => {
                subscription.of == Subject::Pages
                    && (subscription.page_operations.is_empty()
                        || subscription.page_operations.contains(&operation))
            }
        }
        && (was || naive_state(subscription, after))
}

/// Patterns live as long as the program; so do those of a test.
fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn pattern() -> impl Strategy<Value = &'static str> {
    "[abA%]{0,4}".prop_map(|text| leak(&text))
}

fn operations() -> impl Strategy<Value = &'static [ObjectOperation]> {
    prop_oneof![Just(&[][..]), Just(&[Create][..]), Just(&[Update][..]), Just(&[Create, Delete][..])]
}

fn subscription() -> impl Strategy<Value = Subscription> {
    let object_type = prop_oneof![Just("a.b"), Just("A.a"), "[ab.%]{0,4}".prop_map(|text| leak(&text))];
    let site = prop_oneof![
        Just(SiteCriterion::Any),
        Just(SiteCriterion::Global),
        pattern().prop_map(SiteCriterion::Named)
    ];
    let few = || prop::option::weighted(0.3, pattern());
    let page_operations =
        prop_oneof![Just(&[][..]), Just(&[PageOperation::Publish, PageOperation::Update][..])];
    let of = (prop::sample::select(vec![Subject::Objects, Subject::Pages]), operations(), page_operations);
    (object_type, of, site, few(), few(), few(), few()).prop_map(
        |(
            object_type,
            (of, operations, page_operations),
            site,
            code_name,
            class_name,
            alias_path,
            culture,
        )| Subscription {
            of,
            page_operations,
            site,
            code_name,
            class_name,
            alias_path,
            culture,
            ..Subscription::to(object_type).on(operations)
        },
    )
}

fn summary() -> impl Strategy<Value = ChangeSummary> {
    let word = || "[abA]{0,3}";
    let place = (word(), word(), word()).prop_map(|(class_name, alias_path, culture)| PagePlace {
        class_name,
        alias_path,
        culture,
    });
    (
        prop::sample::select(vec!["a.b", "a.a", "b.a", "ab"]),
        prop::sample::select(Operation::all().collect::<Vec<_>>()),
        prop::option::of(word()),
        prop::option::of("[abA]{1,3}"),
        prop::option::of(place),
    )
        .prop_map(|(object_type, operation, code_name, site, page)| ChangeSummary {
            code_name,
            site: site.map(|site| SiteName::parse(site).unwrap()),
            page,
            operation,
            ..change(object_type, Update)
        })
}

proptest! {
    #[test]
    fn the_matcher_agrees_with_the_naive_one(
        subscriptions in prop::collection::vec(subscription(), 0..12),
        before in prop::option::of(summary()),
        after in summary(),
    ) {
        let matcher: Matcher<usize> = subscriptions.iter().copied().enumerate().collect();
        let found: Vec<usize> = matcher.matching(before.as_ref(), &after).map(|(key, _)| *key).collect();
        let expected: Vec<usize> = (0..subscriptions.len())
            .filter(|&key| naive_matches(&subscriptions[key], before.as_ref(), &after))
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_pattern_agrees_with_the_naive_one(pattern in "[aAbéÉ%]{0,8}", text in "[aAbéÉ%]{0,12}") {
        prop_assert_eq!(Pattern::of(&pattern).matches(&fold(&text)), naive_text(&pattern, &text));
    }

    #[test]
    fn any_text_matches_itself_in_any_case(text: String, head: String, tail: String) {
        let pattern = Pattern::of(&text);
        prop_assert!(pattern.matches(&fold(&text)));
        prop_assert!(pattern.matches(&fold(&text.to_lowercase())));
        let around = Pattern::of(&format!("{head}%{tail}"));
        let whole = fold(&format!("{head}{text}{tail}"));
        prop_assert!(around.matches(&whole));
    }
}
