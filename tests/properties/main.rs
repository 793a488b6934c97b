//! What holds whatever the objects are, what they refer to, and in which order they come: random cases, each made from a
//! number of its own.

mod broken;
mod random;
mod world;

mod circles;
mod forests;
mod seeded_bugs;
mod translation;
mod two_way;
