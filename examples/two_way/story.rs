//! What happens, step by step.

use bus_core::{Direction, Ref};
use bus_runtime::{Operator, Resolution, Switches};

use crate::objects::{Company, Person};
use crate::scene::{Failing, Scene, check, company_card, person_card};

pub(crate) async fn tell(scene: &mut Scene) -> Failing<()> {
    what_is_ours_goes_out(scene).await?;
    what_is_theirs_comes_in(scene).await?;
    both_sides_change(scene).await?;
    the_server_is_away(scene).await?;
    the_application_is_away(scene).await?;
    both_sides_change_the_same(scene).await?;
    what_is_no_card_waits_for_a_person(scene).await?;
    both_sides_delete(scene).await?;
    all_there_is_says_nothing_new(scene).await
}

async fn what_is_ours_goes_out(scene: &Scene) -> Failing<()> {
    println!("Here, Ada Lovelace of Acme is added.");
    let mut acme = Company::new("Acme");
    scene.bus.objects().save(&mut acme).await?;
    let mut ada = Person::new("Ada Lovelace", "+44 1");
    (ada.company, ada.note) = (Some(Ref::host(acme.id)), Some("ours alone".to_owned()));
    scene.bus.objects().save(&mut ada).await?;
    scene.settle().await?;
    scene.expect_on_card(&company_card(acme.guid), &["FN:Acme", "KIND:org"])?;
    let company = format!("X-COMPANY:{}", company_card(acme.guid));
    scene.expect_on_card(&person_card(ada.guid), &["FN:Ada Lovelace", "TEL:+44 1", &company])?;
    scene.expect_silence(2, "two cards, and hers names that of Acme").await
}

async fn what_is_theirs_comes_in(scene: &Scene) -> Failing<()> {
    println!("There, Bob of Initech is added; Initech has no card yet.");
    let bob = "BEGIN:VCARD
               VERSION:4.0
               UID:bob
               FN:Bob
               NOTE:theirs alone
               X-COMPANY:/two_way/companies/initech.vcf
               END:VCARD";
    scene.put(&person_card("bob"), bob)?;
    scene.settle().await?;
    scene.expect_people(&["Ada Lovelace"], "Bob waits for his company").await?;
    println!("There, Initech is added.");
    scene.put(
        &company_card("initech"),
        "BEGIN:VCARD\nVERSION:4.0\nUID:initech\nKIND:org\nFN:Initech\nEND:VCARD",
    )?;
    scene.settle().await?;
    let bob = scene.person("Bob").await?;
    check(scene.company_of(&bob).await?.as_deref() == Some("Initech"), "Bob is with Initech")?;
    scene.expect_silence(4, "theirs, and nothing is told back").await
}

async fn both_sides_change(scene: &Scene) -> Failing<()> {
    println!("Here, Bob gets a number. There, Ada gets another name.");
    let mut bob = scene.person("Bob").await?;
    bob.phone = Some("+44 2".to_owned());
    scene.bus.objects().save(&mut bob).await?;
    let ada = scene.person("Ada Lovelace").await?;
    scene.edit(&person_card(ada.guid), "FN:Ada Lovelace", "FN:Ada King")?;
    scene.settle().await?;
    let all = ["FN:Bob", "TEL:+44 2", "NOTE:theirs alone", "X-COMPANY:/two_way/companies/initech.vcf"];
    scene.expect_on_card(&person_card("bob"), &all)?;
    let king = scene.person("Ada King").await?;
    check(king == Person { name: king.name.clone(), ..ada }, "all else about Ada is kept")?;
    scene.expect_silence(6, "one on each side").await
}

async fn the_server_is_away(scene: &mut Scene) -> Failing<()> {
    println!("The server crashes. Here, Eve is added, and Ada gets another number.");
    scene.server.stop()?;
    let mut eve = Person::new("Eve", "+44 3");
    scene.bus.objects().save(&mut eve).await?;
    let mut ada = scene.person("Ada King").await?;
    ada.phone = Some("+44 4".to_owned());
    scene.bus.objects().save(&mut ada).await?;
    scene.settle().await?;
    let warning = scene.warning().unwrap_or_default();
    check(warning.contains("cannot reach"), &format!("the bus says that the server is missed: {warning}"))?;
    println!("The server is started again.");
    scene.server.start().await?;
    scene.until_reached().await?;
    scene.settle().await?;
    scene.expect_on_card(&person_card(eve.guid), &["FN:Eve", "TEL:+44 3"])?;
    scene.expect_on_card(&person_card(ada.guid), &["FN:Ada King", "TEL:+44 4"])?;
    scene.expect_silence(8, "nothing is lost, and nothing repeated").await
}

async fn the_application_is_away(scene: &mut Scene) -> Failing<()> {
    println!("The application is stopped. There, Eve gets another number.");
    let eve = scene.person("Eve").await?;
    let logged = scene.logged(Direction::Incoming).await?;
    scene.bus.shutdown().await;
    scene.edit(&person_card(eve.guid), "TEL:+44 3", "TEL:+44 5")?;
    println!("The application is started again.");
    scene.start_again().await?;
    scene.settle().await?;
    let again = scene.person("Eve").await?;
    check(again.phone.as_deref() == Some("+44 5"), "her number has arrived")?;
    check(scene.logged(Direction::Incoming).await? == logged + 1, "the poll goes on where it was")?;
    scene.expect_silence(9, "only what has changed meanwhile is asked for").await
}

async fn both_sides_change_the_same(scene: &Scene) -> Failing<()> {
    println!("While nothing is delivered, Ada gets a number here, and another one there.");
    scene.bus.set_switches(Switches { process_outgoing: false, ..Switches::default() }).await?;
    let mut ada = scene.person("Ada King").await?;
    (ada.phone, ada.note) = (Some("+44 6".to_owned()), Some("changed here alone".to_owned()));
    scene.bus.objects().save(&mut ada).await?;
    scene.edit(&person_card(ada.guid), "TEL:+44 4", "TEL:+44 7")?;
    scene.settle().await?;
    let [conflict] =
        scene.conflicts().await?.try_into().map_err(|all| format!("one conflict, but: {all:?}"))?;
    println!("  to be decided of {}: {}", conflict.object, conflict.fields.join(", "));
    println!("Somebody asks her: theirs is right.");
    let operator = Operator::named("jane").because("she was asked");
    println!("  {}", scene.bus.resolve(conflict.delivery, Resolution::External, &operator).await?);
    scene.bus.until_idle().await;
    scene.bus.set_switches(Switches::default()).await?;
    scene.settle().await?;
    scene.expect_on_card(&person_card(ada.guid), &["FN:Ada King", "TEL:+44 7"])?;
    let again = scene.person("Ada King").await?;
    check(
        again == Person { phone: Some("+44 7".to_owned()), ..ada },
        "all else about Ada is as it was here",
    )?;
    scene.expect_silence(12, "what was on its way, and what was decided").await
}

async fn what_is_no_card_waits_for_a_person(scene: &Scene) -> Failing<()> {
    println!("There, something is put among the cards that is none, and Carl is added.");
    let broken = person_card("broken");
    scene.put(&broken, "BEGIN:VLIST\nVERSION:1.0\nFN:Everybody\nEND:VLIST")?;
    scene.put(&person_card("carl"), "BEGIN:VCARD\nVERSION:4.0\nUID:carl\nFN:Carl\nEND:VCARD")?;
    scene.settle().await?;
    scene.expect_people(&["Ada King", "Bob", "Carl", "Eve"], "others go on").await?;
    let [parked] = scene.parked().await?.try_into().map_err(|all| format!("one is parked, but: {all:?}"))?;
    println!("  parked: {}: {}", parked.title, parked.reason.as_deref().unwrap_or_default());
    println!("There, it makes way for the card of Dora. Here, its task is ended.");
    scene.remove(&broken)?;
    scene.put(&broken, "BEGIN:VCARD\nVERSION:4.0\nUID:dora\nFN:Dora\nEND:VCARD")?;
    scene.settle().await?;
    scene.expect_people(&["Ada King", "Bob", "Carl", "Eve"], "what comes later stands behind it").await?;
    let operator = Operator::named("jane").because("the card was mended");
    println!("  {}", scene.bus.skip(parked.delivery, &operator).await?);
    scene.settle().await?;
    scene.expect_people(&["Ada King", "Bob", "Carl", "Dora", "Eve"], "it goes on").await?;
    scene.expect_silence(16, "what cannot be read is not answered").await
}

async fn both_sides_delete(scene: &Scene) -> Failing<()> {
    println!("There, Bob is removed. Here, Eve is.");
    scene.remove(&person_card("bob"))?;
    let eve = scene.person("Eve").await?;
    scene.bus.objects().delete::<Person>(&eve.id).await?;
    scene.settle().await?;
    scene.expect_people(&["Ada King", "Carl", "Dora"], "both are gone here").await?;
    check(scene.card(&person_card(eve.guid))?.is_none(), "Eve's card is gone")?;
    scene.expect_silence(18, "two deletes, each once").await
}

async fn all_there_is_says_nothing_new(scene: &Scene) -> Failing<()> {
    println!("Everything is polled once more, from the start.");
    scene.bus.poll_from_start(&scene.carddav, &Operator::named("jane")).await?;
    scene.expect_silence(18, "all there is says nothing new").await?;
    scene.expect_people(&["Ada King", "Carl", "Dora"], "everybody is there").await?;
    for (queue, counters) in scene.bus.counters().await? {
        check(counters.open == 0, &format!("nothing is left to do in {queue}"))?;
    }
    println!("Both sides agree, and nothing goes round.");
    Ok(())
}
