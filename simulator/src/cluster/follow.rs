//! Guests follow their recordings.

use super::{Event, SimCluster};

impl SimCluster {
    /// Puts a guest at the present position of its recordings.
    pub(super) fn begin_recording(&mut self, vm: usize) {
        let now = self.agenda.now();
        let mut cpu = self.world.vms[vm].cpu_track.take();
        if let Some(track) = &mut cpu {
            let (in_force, wait) = track.seek(now);
            if let Some(newest) = in_force.last() {
                self.world.set_cpu(vm, *newest, now);
            }
            if let Some(wait) = wait {
                self.agenda.after(wait, Event::Cpu { vm });
            }
        }
        let mut dirty = self.world.vms[vm].dirty_track.take();
        if let Some(track) = &mut dirty {
            let (in_force, wait) = track.seek(now);
            for sample in &in_force {
                self.world.vms[vm].measure(sample, now);
            }
            if let Some(wait) = wait {
                self.agenda.after(wait, Event::Dirty { vm });
            }
        }
        self.world.vms[vm].cpu_track = cpu;
        self.world.vms[vm].dirty_track = dirty;
    }

    pub(super) fn follow_cpu(&mut self, vm: usize) {
        let now = self.agenda.now();
        let Some(track) = &mut self.world.vms[vm].cpu_track else { return };
        let Some((&cpu, wait)) = track.step() else { return };
        self.world.set_cpu(vm, cpu, now);
        self.cpu_follows(vm);
        self.agenda.after(wait, Event::Cpu { vm });
    }

    pub(super) fn follow_dirty(&mut self, vm: usize) {
        let now = self.agenda.now();
        let guest = &mut self.world.vms[vm];
        let Some(track) = &mut guest.dirty_track else { return };
        let Some((sample, wait)) = track.step() else { return };
        let sample = sample.clone();
        guest.measure(&sample, now);
        self.agenda.after(wait, Event::Dirty { vm });
        // Windows of one moment are taken together: only the last of them changes the guest.
        if wait > whimbrel_core::units::Span::ZERO {
            self.rewrite(vm);
        }
    }
}
