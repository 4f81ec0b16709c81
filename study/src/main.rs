//! What leg choice costs and gains, in virtual time. See README.md.

mod rng;
mod world;
mod worlds;

fn main() {
    let all = worlds::worlds(worlds::Size::Default);
    for world in &all {
        println!("{} {} {}", world.name, world.rates(), world.alone(0).legs.len());
    }
    println!("{} of {}", all.len(), worlds::worlds(worlds::Size::Full).len());
    println!("{}", rng::noise(1, 1, 10, 0));
    println!("{}", world::Family::ALL.len());
}
