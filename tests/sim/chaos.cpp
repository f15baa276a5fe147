// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/chaos.h"

namespace ballast::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

template <class T, std::size_t n>
T one_of(co::Random& random, const T (&choices)[n]) {
  return choices[random.below(n)];
}

Nanoseconds draw_time(co::Random& random, Nanoseconds longest) {
  return Nanoseconds{
      static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(longest.count()) + 1))};
}

}  // namespace

LunConfig Chaos::draw_config(std::uint64_t seed) {
  co::Random random{seed ^ 0xc0f16};
  LunConfig config;
  config.seed = seed;
  config.blocks = static_cast<std::uint32_t>(32 + random.below(33));
  backend::Capabilities& store = config.capabilities;
  store.exclusive = random.chance(3, 4);
  store.volatile_cache = random.chance(3, 4);
  store.fua = !store.volatile_cache || random.chance(1, 2);
  store.zero = random.chance(3, 4);
  store.discard = random.chance(3, 4);
  store.zero_unmaps = store.zero && store.discard;
  store.discard_zeroes = store.discard && random.chance(3, 4);
  config.queue_depth = one_of(random, {std::size_t{4}, std::size_t{16}, std::size_t{64}});
  config.limits = draw_limits(random);
  config.engine = one_of(random, {Engine::local, Engine::nbd, Engine::nbd, Engine::owned});
  if (config.engine == Engine::nbd) {
    store.fua = true;
    store.write_through = store.volatile_cache && random.chance(1, 2);
  } else if (config.engine == Engine::owned) {
    store.exclusive = true;
  }
  draw_log(random, &config);
  draw_elevator(random, &config.elevator);
  return config;
}

// A store on an NBD server has no place for the label that a log needs.
void Chaos::draw_log(co::Random& random, LunConfig* config) {
  if (!random.chance(1, 3)) {
    return;
  }
  config->log_unit = std::size_t{write_log::page}
                     << one_of(random, {0U, 4U, 8U, 8U, 8U});  // up to 1 MiB
  config->engine = random.chance(1, 4) ? Engine::owned : Engine::local;
  config->capabilities.exclusive = true;
  config->capabilities.write_through = false;
}

void Chaos::draw_elevator(co::Random& random, backend::ElevatorConfig* config) {
  config->use = random.chance(1, 3) ? backend::ElevatorUse::on : backend::ElevatorUse::off;
  config->read_expire = milliseconds{1} + draw_time(random, milliseconds{500});
  config->write_expire = milliseconds{1} + draw_time(random, seconds{5});
  config->target_latency = milliseconds{1} + draw_time(random, milliseconds{100});
}

scsi::TaskSetLimits Chaos::draw_limits(co::Random& random) {
  scsi::TaskSetLimits limits;
  // By name, so that a new limit does not compile until it is drawn, too.
  auto& [deadline, slow, stall_after, stall_window, busy_for, max_iops, max_bandwidth, burst] =
      static_cast<config::Limits&>(limits);
  deadline = one_of(random, {Nanoseconds{milliseconds{300}}, Nanoseconds{seconds{1}},
                             Nanoseconds{seconds{3}}, Nanoseconds{seconds{20}}});
  // Late, where commands expire long before the LUN counts as stalled: more orphans, more retries
  // that find them.
  stall_after = random.chance(1, 2) ? deadline / static_cast<std::int64_t>(2 + random.below(10))
                                    : deadline * static_cast<std::int64_t>(1 + random.below(20));
  slow = milliseconds{10} + draw_time(random, deadline);
  stall_window = one_of(random, {0U, 0U, 1U, 2U, 4U, 8U, 32U});
  busy_for = one_of(random, {deadline / 2, deadline * 2, deadline * 5, Nanoseconds{seconds{120}}});
  max_iops = one_of(random, {0U, 0U, 0U, 0U, 20U, 500U});
  max_bandwidth = one_of(random, {Bytes{}, Bytes{}, Bytes{}, Bytes{64 << 10}, Bytes{1 << 20}});
  burst = one_of(random, {Nanoseconds{milliseconds{1}}, Nanoseconds{milliseconds{100}}});
  if (random.chance(1, 4)) {
    limits.longest_hold = deadline * static_cast<std::int64_t>(1 + random.below(8));
  }
  return limits;
}

Temper Chaos::draw_temper(co::Random& random) {
  Temper temper;
  temper.longest = one_of(random, {Nanoseconds{milliseconds{1}}, Nanoseconds{milliseconds{20}},
                                   Nanoseconds{milliseconds{500}}});
  if (random.chance(3, 4)) {
    temper.stuck = one_of(random, {10U, 50U, 200U});
    temper.longest_stuck = one_of(random, {Nanoseconds{seconds{2}}, Nanoseconds{seconds{60}}});
  }
  temper.medium_error = random.chance(1, 3) ? 30 : 0;
  temper.no_resource = random.chance(1, 4) ? 30 : 0;
  temper.cancellable = one_of(random, {0U, 0U, 300U, 1000U});
  temper.longest_cancel =
      one_of(random, {Nanoseconds{}, Nanoseconds{milliseconds{100}}, Nanoseconds{seconds{1}}});
  return temper;
}

Temper Chaos::calm() {
  Temper temper;
  temper.shortest = std::chrono::microseconds{50};
  temper.longest = milliseconds{3};
  return temper;
}

std::uint32_t Chaos::next() {
  random_ = co::Random{seed_ ^ (++faults_ * 0x9e3779b97f4a7c15U)};
  return faults_;
}

Nanoseconds Chaos::pause() {
  const bool soon = random_.chance(1, 2);
  return draw_time(random_, soon ? Nanoseconds{milliseconds{200}} : Nanoseconds{seconds{6}});
}

void Chaos::act() {
  if (lun_.departed() && (lun_.closed() || random_.chance(1, 3))) {
    lun_.reopen(random_.chance(1, 2) ? Nanoseconds{} : draw_time(random_, seconds{3}));
    return;
  }
  if (!lun_.ready() && !lun_.closing() && random_.chance(1, 4)) {
    lun_.close();
    return;
  }
  if (lun_.store().fenced() && !lun_.closing()) {
    lun_.close(random_.chance(1, 2) ? Nanoseconds{} : lun::Lun::close_patience);
    return;
  }
  if (lun_.store().flushes_fail() && !lun_.closing() && random_.chance(1, 8)) {
    lun_.close(random_.chance(1, 2) ? Nanoseconds{} : lun::Lun::close_patience);
    return;
  }
  if (lun_.config().engine != Engine::local && random_.chance(1, 5)) {
    lose_the_store();
    return;
  }
  if (lun_.log() != nullptr && random_.chance(1, 25)) {
    lun_.log()->fail(one_of(random_, {10U, 200U, 1000U}));
    return;
  }
  if (lun_.log() != nullptr && (wants_log_gone_ ? random_.chance(3, 4) : random_.chance(1, 40))) {
    wants_log_gone_ = random_.chance(9, 10);
    lun_.log()->want_to_let_go();
  }
  if (random_.chance(1, 10)) {
    vex_the_neighbour();
    return;
  }
  const std::uint64_t lot = random_.below(100);
  if (lot < 25) {
    freeze();
  } else if (lot < 55) {
    lun_.store().thaw();
  } else if (lot < 75) {
    lun_.store().set_temper(draw_temper(random_));
  } else if (lot < 85) {
    lun_.store().set_temper(calm());
  } else {
    change_the_lun();
  }
}

void Chaos::vex_the_neighbour() {
  Neighbour& neighbour = lun_.neighbour();
  if (neighbour.closing()) {
    neighbour.reopen();
  } else if (random_.chance(1, 4)) {
    neighbour.close();
  } else {
    neighbour.be_rough(random_.chance(2, 3));
  }
}

void Chaos::lose_the_store() {
  SimBackend& store = lun_.store();
  if (lun_.config().engine == Engine::owned) {
    if (store.in_use() && random_.chance(1, 2)) {
      store.fence();
    }
  } else if (random_.chance(1, 2)) {
    store.restart();
  } else {
    store.lose_connection();
  }
}

void Chaos::freeze() {
  Freeze rule;
  const std::uint64_t lot = random_.below(6);
  rule.reads = lot != 0;
  rule.changes = lot != 1;
  rule.flushes = lot != 0 && lot != 1;
  rule.landed_only = random_.chance(1, 3);
  if (random_.chance(1, 2)) {
    rule.first = static_cast<std::uint32_t>(random_.below(lun_.config().blocks));
    rule.count = static_cast<std::uint32_t>(1 + random_.below(16));
    rule.flushes = rule.flushes && random_.chance(1, 4);
  }
  lun_.store().freeze(rule);
}

void Chaos::change_the_lun() {
  const std::uint64_t lot = random_.below(10);
  if (lot < 2) {
    if (random_.chance(1, 2)) {
      scsi::TaskSetLimits limits = draw_limits(random_);
      lun_.set_limits(limits);
    } else {
      lun_.set_siblings(random_.chance(1, 3) ? 0 : 1 + random_.below(8));
    }
  } else if (lot < 4) {
    const std::uint64_t least = lun_.config().blocks / 2;
    lun_.resize(static_cast<std::uint32_t>(least + random_.below(most_blocks - least)));
  } else if (lot < 6) {
    const bool none = random_.chance(1, 2);
    lun_.squeeze_buffers(none ? ~std::size_t{0} : random_.below(32) * io::BufferPool::smallest);
  } else if (lot < 8) {
    if (!lun_.closing() && !lun_.stopping() && random_.chance(1, 3)) {
      lun_.stop();
    } else if (!lun_.closing()) {
      lun_.close(one_of(random_,
                        {Nanoseconds{}, Nanoseconds{milliseconds{100}}, lun::Lun::close_patience}));
    }
  } else if (lot < 9 && random_.chance(1, 2)) {
    (void)lun_.tally();  // as one who looks at the LUN does, and at those that have departed
  } else {
    const bool all = lot == 9;
    lun_.abort([this, all](const Issued&) { return all || random_.chance(1, 4); });
  }
}

void Chaos::stop() {
  lun_.store().set_temper(calm());
  lun_.neighbour().be_rough(false);
  lun_.squeeze_buffers(~std::size_t{0});
  lun_.set_siblings(0);
  if (lun_.log() != nullptr) {
    lun_.log()->end_failing();
  }
  lun_.store().thaw();
}

}  // namespace ballast::sim
