// SPDX-License-Identifier: Apache-2.0
// Chaos: draws random faults and applies them to a LUN, whenever the test's main loop asks for one.
#pragma once

#include <cstdint>

#include "lib/co/sim_executor.h"
#include "tests/sim/lun.h"

namespace ballast::sim {

class Chaos {
 public:
  Chaos(Lun& lun, std::uint64_t seed) : lun_{lun}, seed_{seed}, random_{seed} {}

  // Draws the configuration of a LUN, its store included.
  static LunConfig draw_config(std::uint64_t seed);
  static void draw_elevator(co::Random& random, backend::ElevatorConfig* config);
  static scsi::TaskSetLimits draw_limits(co::Random& random);
  static Temper draw_temper(co::Random& random);

  // Draws the next fault, whether it will take place or not, and returns its number.
  std::uint32_t next();
  std::uint32_t faults() const { return faults_; }
  // The time until it.
  Nanoseconds pause();
  void act();
  // Ends all faults: nothing is frozen, stuck, squeezed or failing any more. A LUN that is being
  // closed goes on closing.
  void stop();

  // The temper of a store without faults.
  static Temper calm();

 private:
  static void draw_log(co::Random& random, LunConfig* config);
  void freeze();
  void vex_the_neighbour();
  void lose_the_store();
  void change_the_lun();

  Lun& lun_;
  const std::uint64_t seed_;
  std::uint32_t faults_ = 0;
  co::Random random_;            // of this fault
  bool wants_log_gone_ = false;  // an operator asks again and again
};

}  // namespace ballast::sim
