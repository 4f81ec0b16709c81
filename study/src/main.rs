//! What leg choice costs and gains, in virtual time. See README.md.

mod host;
mod link;
mod measure;
mod network;
mod rng;
mod world;
mod worlds;

fn main() {
    let all = worlds::worlds(worlds::Size::Default);
    for world in all.iter().take(8) {
        for algorithm in [circflow::conflux::Algorithm::LowRtt] {
            for legs in [&[0][..], &[1], &[0, 1]] {
                let begun = std::time::Instant::now();
                let task = network::Task { algorithm, legs, work: world.work, limit: 200 * world::SECOND, curve: true };
                let figures = network::run(world, &task);
                println!(
                    "{} {legs:?} asked {:?} first {:?} last {:?} died {} sw {} data {} peak {} {:?}",
                    world.name,
                    figures.asked,
                    figures.first,
                    figures.last,
                    figures.died,
                    figures.switches,
                    figures.data,
                    figures.held.peak,
                    begun.elapsed()
                );
            }
        }
    }
}
