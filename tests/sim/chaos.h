// SPDX-License-Identifier: Apache-2.0
// Draws faults, and does them to a LUN: now and then, as the test's main loop asks.
#pragma once

#include <cstdint>

#include "lib/co/sim_executor.h"
#include "tests/sim/lun.h"

namespace ballast::sim {

class Chaos {
 public:
  Chaos(Lun& lun, std::uint64_t seed) : lun_{lun}, random_{seed} {}

  // The lot of a whole LUN.
  static LunConfig draw_config(std::uint64_t seed);
  static scsi::TaskSetLimits draw_limits(co::Random& random);
  static Temper draw_temper(co::Random& random);

  // How long until the next fault.
  Nanoseconds pause();
  void act();
  // Faults stop: nothing is frozen, stuck, squeezed, or fails any more. A LUN that is being closed
  // goes on doing so.
  void stop();

  // A store on a good day.
  static Temper calm();

 private:
  void freeze();
  void change_the_lun();

  Lun& lun_;
  co::Random random_;
};

}  // namespace ballast::sim
