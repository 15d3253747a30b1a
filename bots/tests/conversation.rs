//! A conversation from hello to goodbye.

mod support;

use playhouse_bots::Rules;
use support::{answer, bot_with, house_bot};

#[tokio::test]
async fn a_conversation_goes_like_this() {
    let mut bot = house_bot(2);
    for (said, expected) in [
        (
            "Hello!",
            "Good to see you. I keep the door of this house. What brings you in?",
        ),
        (
            "My name is Anna.",
            "Pleased to meet you, Anna. I never forget a name before the curtain falls.",
        ),
        (
            "What's on tonight, please?",
            "There are 2 videos: video1, video2. 2 are live: stream1, stream2.",
        ),
        (
            "I'm a bit worried about my exam tomorrow.",
            "Even old actors shake before they go on. What is the worst that could happen?",
        ),
        (
            "My mother says I'm lazy.",
            "If I met your mother at the door, what should I know beforehand?",
        ),
        ("hm", "By the way, Anna: is the name a gift from somebody?"),
        (
            "I think everybody hates me :(",
            "What would have to happen for you to see it otherwise?",
        ),
        (
            "You are very kind.",
            "Very kind? I shall have it engraved on my badge.",
        ),
        (
            "are you a robot?",
            "There is nobody behind this door but rules in a file. Does that matter to you?",
        ),
        (
            "I don't like rain, but I like pizza 🍕",
            "Every house needs a critic. What is wrong with rain?",
        ),
        (
            "I'm not sure what you want from me…",
            "Not sure what I want from you: since when is that on the playbill?",
        ),
        (
            "Because I never laugh at your jokes",
            "An actor asks at the door whether the part is still free. It is, I say, but you would have to pay for it.",
        ),
        (
            "I dreamt of flying elephants!",
            "Flying elephants, on the stage of a sleeper. What happened in the last scene?",
        ),
        (
            "Why don't you dream?",
            "Dreams are the cheapest theatre there is. Who plays the lead in yours?",
        ),
        ("who's here?", "2 people are here: guest1, guest2."),
        ("grmpf", "Let us go back to your mother for a moment."),
        (
            "grmpf",
            "You had something against rain. Would you give it another chance?",
        ),
        (
            "Can you sing in French?",
            "I hear it through the wall most nights. What do you hum when nobody listens?",
        ),
        (
            "I can't find my keys",
            "Your keys: describe that to somebody who has only ever seen a foyer.",
        ),
        (
            "I felt lost when you forgot me",
            "Lost when I forgot you: where does one notice that first?",
        ),
        ("no", "A short word with a long shadow. What stands in it?"),
        (
            "I would like to be an actor",
            "Now you speak my language. Front row, or the gallery?",
        ),
        (
            "well",
            "You said before that you are not sure what I want from you. Is that how you would introduce yourself?",
        ),
        (
            "grmpf",
            "I am still thinking of your dream of flying elephants.",
        ),
        (
            "grmpf",
            "Earlier you spoke of your keys. Does that have to do with this?",
        ),
        (
            "thank you",
            "You are welcome. It costs nothing at this door.",
        ),
        (
            "See you tomorrow",
            "I look forward to it, as far as doorkeepers do.",
        ),
        ("Bye!", "Mind the step, and come back soon."),
    ] {
        assert_eq!(answer(&mut bot, said).await, expected, "{said:?}");
    }
}

#[tokio::test]
async fn conversations_don_t_hear_each_other() {
    let (mut one, mut other) = (house_bot(2), house_bot(2));
    let first = answer(&mut one, "Hello").await;
    assert_ne!(
        answer(&mut one, "Hello").await,
        first,
        "sentences take turns"
    );
    assert_eq!(answer(&mut other, "Hello").await, first);
    answer(&mut one, "I like tea").await;
    assert!(!answer(&mut other, "hm").await.contains("tea"));
    assert!(answer(&mut one, "hm").await.contains("tea"));
}

#[tokio::test]
async fn rules_are_followed() {
    let rules = r#"
        [replies]
        silence = ["silence"]
        default = ["default 1", "default 2"]
        more = "+{count}"
        [rewrites]
        "i'm" = "I am"
        [groups]
        animal = ["cat", "dog"]
        [reflections]
        my = "your"
        i = "you"
        "i am" = "you are"
        [[rules]]
        words = ["i"]
        [[rules.cases]]
        pattern = "* i am +"
        answers = ["i: {2}", "i again: {2}"]
        [[rules]]
        words = ["my"]
        rank = 5
        answers = ["my"]
        [[rules.cases]]
        pattern = "+ my @animal +"
        remember = ["{2} {3}!"]
        answers = ["the {2} of which {1} is said {3}"]
        [[rules]]
        words = ["bird"]
        rank = 9
        [[rules.cases]]
        pattern = "bird"
        answers = ["bird {{1}}"]
    "#;
    let mut bot = bot_with(rules, 0);
    for (said, expected) in [
        ("...", "Silence"),
        ("hm", "Default 1"),
        ("I'm sure i am", "I: sure you are"),
        ("well, I’m late. I am early", "I again: late"),
        ("i was", "Default 2"),
        ("my bird", "My"),
        ("a bird; my cat", "My"),
        ("the bird, my cat, bird!", "Bird {1}"),
        (
            "I say my dog is like my Cat",
            "The dog of which you say is said is like your Cat",
        ),
        ("hm", "Dog is like your Cat!"),
        ("hm", "Default 1"),
        ("am I my cat", "My"),
    ] {
        assert_eq!(answer(&mut bot, said).await, expected, "{said:?}");
    }
}

#[test]
fn rules_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Rules>();
}
