// SPDX-License-Identifier: Apache-2.0
#include "lib/volume/volume.h"

#include <array>

#include "tests/unit/volume/rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;
using volume::Fua;
using volume::MayUnmap;

namespace {

using Ops = std::vector<BackendOp>;

void without_fua(SpyBackend& spy) {
  spy.pretend().fua = false;
  spy.pretend().volatile_cache = true;
}

void a_megabyte_is_read_and_written_whole(void**) {
  VolumeRig rig;
  const Data data{pattern(1 << 20), 4096};
  assert_true(rig.wait_for(rig.volume->write(rig.request, Lba{8}, data.view(), Fua::no)) ==
              IoStatus::ok);
  assert_true(rig.spy->ops == (Ops{{"write", 4096, 1 << 20, false}}));
  assert_true(rig.stored(4096, 1 << 20) == data.bytes());
  const Data back{std::vector<std::uint8_t>(1 << 20), 1000};
  assert_true(rig.wait_for(rig.volume->read(rig.request, Lba{8}, back.view())) == IoStatus::ok);
  assert_true(back.bytes() == data.bytes());
  assert_int_equal(rig.spy->ops.size(), 2);
}

void fua_is_handed_on_where_the_backend_has_it(void**) {
  VolumeRig rig;
  const Data data{pattern(512)};
  (void)rig.wait_for(rig.volume->write(rig.request, Lba{0}, data.view(), Fua::yes));
  assert_true(rig.spy->ops == (Ops{{"write", 0, 512, true}}));
}

void fua_is_a_write_and_a_flush_where_it_has_not(void**) {
  VolumeRig rig{Bytes{1 << 20}, {}, without_fua};
  const Data data{pattern(512)};
  assert_true(rig.wait_for(rig.volume->write(rig.request, Lba{0}, data.view(), Fua::yes)) ==
              IoStatus::ok);
  assert_true(rig.spy->ops == (Ops{{"write", 0, 512, false}, {"flush", 0, 0, false}}));
}

void a_failed_flush_fails_the_fua_write(void**) {
  VolumeRig rig{Bytes{1 << 20}, {}, without_fua};
  rig.spy->failures["flush"] = IoStatus::medium_error;
  const Data data{pattern(512)};
  assert_true(rig.wait_for(rig.volume->write(rig.request, Lba{0}, data.view(), Fua::yes)) ==
              IoStatus::medium_error);
}

// A flush behind the writes would come too late for a store that may restart in between.
void a_pattern_is_durable_piece_by_piece_on_a_store_that_begins_write_through(void**) {
  VolumeRig rig{Bytes{4 << 20}, {}, [](SpyBackend& spy) { spy.pretend().write_through = true; }};
  const Data same{pattern(512)};
  assert_true(rig.wait_for(rig.volume->write_same(rig.request, Lba{0}, BlockCount{2560},
                                                  same.view(), MayUnmap::no)) == IoStatus::ok);
  assert_true(rig.spy->ops ==
              (Ops{{"write", 0, 1 << 20, true}, {"write", 1 << 20, 256 << 10, true}}));
}

void zeroing_is_one_operation_where_the_backend_has_it(void**) {
  VolumeRig rig;
  (void)rig.wait_for(rig.volume->zero(rig.request, Lba{1}, BlockCount{5000}, MayUnmap::yes));
  assert_true(rig.spy->ops == (Ops{{"zero", 512, 5000 * 512, true}}));
}

void zeros_are_written_in_chunks_where_it_has_not(void**) {
  VolumeRig rig{Bytes{4 << 20}, {}, [](SpyBackend& spy) {
                  spy.pretend().zero = false;
                  spy.pretend().zero_unmaps = false;
                }};
  rig.store_bytes(0, pattern(3 << 20));
  const std::uint64_t length = (5 << 19) + 512;
  const auto status =
      rig.wait_for(rig.volume->zero(rig.request, Lba{1}, BlockCount{length / 512}, MayUnmap::no));
  assert_true(status == IoStatus::ok);
  assert_true(rig.spy->ops == (Ops{{"write", 512, 1 << 20, false},
                                   {"write", 512 + (1 << 20), 1 << 20, false},
                                   {"write", 512 + (2 << 20), (1 << 19) + 512, false}}));
  assert_true(rig.stored(512, length) == std::vector<std::uint8_t>(length));
  assert_int_not_equal(rig.stored(0, 512)[511], 0);
  assert_int_not_equal(rig.stored(512 + length, 512)[0], 0);
}

void zeros_are_written_where_the_backend_cannot_zero_after_all(void**) {
  VolumeRig rig;
  rig.spy->failures["zero"] = IoStatus::not_supported;
  rig.store_bytes(0, pattern(512));
  assert_true(rig.wait_for(rig.volume->zero(rig.request, Lba{0}, BlockCount{1}, MayUnmap::yes)) ==
              IoStatus::ok);
  assert_true(rig.spy->ops == (Ops{{"zero", 0, 512, true}, {"write", 0, 512, false}}));
  assert_true(rig.stored(0, 512) == std::vector<std::uint8_t>(512));
}

void a_pattern_is_replicated_bit_for_bit(void**) {
  VolumeRig rig;
  const Data block{pattern(512), 100};
  const auto status = rig.wait_for(
      rig.volume->write_same(rig.request, Lba{3}, BlockCount{2560}, block.view(), MayUnmap::yes));
  assert_true(status == IoStatus::ok);
  assert_true(rig.spy->ops ==
              (Ops{{"write", 1536, 1 << 20, false}, {"write", 1536 + (1 << 20), 1 << 18, false}}));
  for (std::uint64_t i = 3; i < 2563; i += 7) {
    assert_true(rig.stored(i * 512, 512) == block.bytes());
  }
  assert_true(rig.stored(1024, 512) == std::vector<std::uint8_t>(512));
  assert_true(rig.stored(std::uint64_t{2563} * 512, 512) == std::vector<std::uint8_t>(512));
}

// With a write log before a frozen store a change still ends, while comparisons wait for the store.
void a_pattern_does_not_wait_for_comparisons_that_hang(void**) {
  VolumeRig rig;
  const Data data{pattern(512)};
  constexpr std::size_t many = 2 * io::ScratchPool::buffer_count;
  std::array<volume::Request, many> requests;
  std::array<std::optional<volume::Comparison>, many> compared;
  rig.spy->gate.reset();
  for (std::size_t i = 0; i < many; ++i) {
    rig.start(rig.volume->compare_same(requests[i], Lba{8 * i}, BlockCount{1}, data.view()),
              &compared[i]);
  }
  rig.spy->ops.clear();
  std::optional<IoStatus> written;
  rig.start(
      rig.volume->write_same(rig.request, Lba{1000}, BlockCount{1}, data.view(), MayUnmap::no),
      &written);
  assert_true(rig.spy->ops == (Ops{{"write", 1000 * 512, 512, false}}));
  rig.spy->gate.set();
  rig.run();
  assert_true(written == IoStatus::ok && compared.back().has_value());
}

void what_is_left_after_a_whole_chunk_is_written_too(void**) {
  for (const std::uint64_t blocks : {2048U, 2049U, 2050U, 2052U, 2055U, 2056U, 2057U}) {
    VolumeRig rig;
    const Data block{pattern(512)};
    assert_true(rig.wait_for(rig.volume->write_same(rig.request, Lba{0}, BlockCount{blocks},
                                                    block.view(), MayUnmap::no)) == IoStatus::ok);
    assert_true(rig.stored((blocks - 1) * 512, 512) == block.bytes());
    assert_true(rig.stored(blocks * 512, 512) == std::vector<std::uint8_t>(512));
  }
}

void a_pattern_of_zeros_becomes_a_zeroing(void**) {
  VolumeRig rig;
  const Data block{std::vector<std::uint8_t>(512)};
  (void)rig.wait_for(
      rig.volume->write_same(rig.request, Lba{8}, BlockCount{8}, block.view(), MayUnmap::yes));
  (void)rig.wait_for(
      rig.volume->write_same(rig.request, Lba{8}, BlockCount{8}, block.view(), MayUnmap::no));
  assert_true(rig.spy->ops == (Ops{{"zero", 4096, 4096, true}, {"zero", 4096, 4096, false}}));
}

void one_bit_in_the_last_byte_is_not_zero(void**) {
  VolumeRig rig;
  std::vector<std::uint8_t> bytes(512);
  bytes[511] = 1;
  const Data block{bytes};
  (void)rig.wait_for(
      rig.volume->write_same(rig.request, Lba{0}, BlockCount{2}, block.view(), MayUnmap::yes));
  assert_int_equal(rig.stored(0, 1024)[1023], 1);
}

void unmapping_what_cannot_be_unmapped_is_fine(void**) {
  VolumeRig rig;
  rig.spy->failures["discard"] = IoStatus::not_supported;
  assert_true(rig.wait_for(rig.volume->unmap(rig.request, Lba{0}, BlockCount{8})) == IoStatus::ok);
}

void no_more_than_queue_depth_operations_run_at_once(void**) {
  volume::VolumeConfig config;
  config.queue_depth = 3;
  VolumeRig rig{Bytes{1 << 20}, config};
  rig.spy->gate.reset();
  std::array<std::optional<IoStatus>, 10> results;
  std::vector<Data> buffers;
  for (std::size_t i = 0; i < results.size(); ++i) {
    buffers.emplace_back(pattern(512));
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    rig.start(rig.volume->read(rig.request, Lba{i}, buffers[i].view()), &results[i]);
  }
  assert_int_equal(rig.spy->running(), 3);
  rig.spy->gate.set();
  rig.run();
  assert_int_equal(rig.spy->most_running, 3);
  for (std::size_t i = 0; i < results.size(); ++i) {
    assert_true(results[i] == IoStatus::ok);
    assert_int_equal(rig.spy->ops[i].offset, i * 512);  // first come, first served
  }
}

void with_an_elevator_operations_go_in_its_order(void**) {
  VolumeRig rig{Bytes{1 << 20}};
  backend::Elevator elevator{rig.executor, {}, 1};
  rig.use({.queue_depth = 1, .elevator = &elevator});
  rig.spy->gate.reset();
  const Data data{pattern(512)};
  const Data back{pattern(512)};
  std::array<std::optional<IoStatus>, 4> results;
  rig.start(rig.volume->write(rig.request, Lba{9}, data.view(), Fua::no), &results[0]);
  rig.start(rig.volume->write(rig.request, Lba{20}, data.view(), Fua::no), &results[1]);
  rig.start(rig.volume->write(rig.request, Lba{10}, data.view(), Fua::no), &results[2]);
  rig.start(rig.volume->read(rig.request, Lba{30}, back.view()), &results[3]);
  assert_int_equal(rig.spy->running(), 1);
  rig.spy->gate.set();
  rig.run();
  assert_true(rig.spy->ops == (Ops{{"write", 9 * 512, 512, false},
                                   {"read", 30 * 512, 512, false},
                                   {"write", 10 * 512, 512, false},
                                   {"write", 20 * 512, 512, false}}));
  rig.use({});
}

void what_waits_for_the_elevator_ends_when_it_is_stopped(void**) {
  VolumeRig rig{Bytes{1 << 20}};
  backend::Elevator elevator{rig.executor, {}, 1};
  rig.use({.queue_depth = 1, .elevator = &elevator});
  rig.spy->gate.reset();
  const Data data{pattern(512)};
  volume::Request stopped;
  std::optional<IoStatus> first;
  std::optional<IoStatus> second;
  rig.start(rig.volume->write(rig.request, Lba{9}, data.view(), Fua::no), &first);
  rig.start(rig.volume->write(stopped, Lba{20}, data.view(), Fua::no), &second);
  stopped.stop();
  rig.run();
  assert_true(second == IoStatus::cancelled);
  rig.spy->gate.set();
  rig.run();
  assert_true(first == IoStatus::ok);
  assert_int_equal(rig.spy->ops.size(), 1);
  rig.use({});
}

// Else a frozen read would hold it up, and all that overlaps it, although the log has room again.
void a_change_takes_a_place_of_the_elevator_only_without_the_log(void**) {
  test::SpyLog log;
  VolumeRig rig{Bytes{4 << 20}, {}, [&](test::SpyBackend& both) { both.coverage = &log; }};
  backend::Elevator elevator{rig.executor, {}, 1};
  rig.use({.elevator = &elevator});
  rig.spy->gate.reset();
  const Data data{pattern(512)};
  std::optional<IoStatus> read;
  std::array<std::optional<IoStatus>, 5> changes;
  rig.start(rig.volume->read(rig.request, Lba{test::SpyLog::missing}, data.view()), &read);
  log.takes = false;  // it is full
  rig.start(rig.volume->write(rig.request, Lba{9}, data.view(), Fua::no), &changes[0]);
  rig.start(rig.volume->unmap(rig.request, Lba{19}, BlockCount{1}), &changes[1]);
  rig.start(rig.volume->zero(rig.request, Lba{29}, BlockCount{1}, MayUnmap::no), &changes[2]);
  rig.start(rig.volume->flush(rig.request), &changes[3]);
  assert_int_equal(rig.spy->running(), 5);
  assert_int_equal(elevator.at_store(), 1);
  log.passed_by = true;
  rig.start(rig.volume->write(rig.request, Lba{39}, data.view(), Fua::no), &changes[4]);
  assert_int_equal(rig.spy->running(), 5);
  assert_int_equal(elevator.waiting(), 1);
  rig.spy->gate.set();
  rig.run();
  assert_true(read == IoStatus::ok);
  assert_true(std::ranges::all_of(changes, [](auto status) { return status == IoStatus::ok; }));
  rig.use({});
}

void a_queue_depth_of_one_is_enough_for_everything(void**) {
  volume::VolumeConfig config;
  config.queue_depth = 1;
  VolumeRig rig{Bytes{1 << 20}, config, without_fua};
  const Data data{pattern(1024)};
  const Data same{pattern(512)};
  assert_true(rig.wait_for(rig.volume->write(rig.request, Lba{0}, data.view(), Fua::yes)) ==
              IoStatus::ok);
  const auto found = rig.wait_for(
      rig.volume->compare_and_write(rig.request, Lba{0}, data.view(), data.view(), Fua::yes));
  assert_true(found.has_value() && !found->difference.has_value());
  assert_true(rig.wait_for(rig.volume->write_same(rig.request, Lba{0}, BlockCount{9}, same.view(),
                                                  MayUnmap::no)) == IoStatus::ok);
  assert_true(rig.wait_for(rig.volume->verify(rig.request, Lba{0}, BlockCount{2048})) ==
              IoStatus::ok);
}

void a_comparison_finds_the_first_byte_that_differs(void**) {
  VolumeRig rig;
  const Data data{pattern(1 << 20), 999};
  rig.store_bytes(512, data.bytes());
  auto found = rig.wait_for(rig.volume->compare(rig.request, Lba{1}, data.view()));
  assert_true(found.has_value() && ok(found->status) && !found->difference.has_value());
  std::vector<std::uint8_t> changed = data.bytes();
  changed[700001] ^= 0x80;
  changed[900000] ^= 0x80;
  const Data other{changed, 4096};
  found = rig.wait_for(rig.volume->compare(rig.request, Lba{1}, other.view()));
  assert_true(found.has_value() && found->difference == 700001);
}

void each_block_is_compared_with_one(void**) {
  VolumeRig rig;
  const Data block{pattern(512), 13};
  (void)rig.wait_for(
      rig.volume->write_same(rig.request, Lba{0}, BlockCount{2000}, block.view(), MayUnmap::no));
  auto found =
      rig.wait_for(rig.volume->compare_same(rig.request, Lba{0}, BlockCount{2000}, block.view()));
  assert_true(found.has_value() && !found->difference.has_value());
  found =
      rig.wait_for(rig.volume->compare_same(rig.request, Lba{0}, BlockCount{2001}, block.view()));
  assert_true(found.has_value() && found->difference == 2000u * 512);
}

void compare_and_write_writes_nothing_on_a_difference(void**) {
  VolumeRig rig;
  const Data expected{pattern(1024, 5)};
  const Data next{pattern(1024, 9)};
  const auto found = rig.wait_for(
      rig.volume->compare_and_write(rig.request, Lba{4}, expected.view(), next.view(), Fua::no));
  assert_true(found.has_value() && found->difference == 0u);
  assert_true(rig.stored(2048, 1024) == std::vector<std::uint8_t>(1024));
}

// A write that comes in between must not land between the read and the write of the pair.
void compare_and_write_is_alone_with_its_blocks(void**) {
  VolumeRig rig;
  const Data zeros{std::vector<std::uint8_t>(512)};
  const Data first{pattern(512, 5)};
  const Data second{pattern(512, 9)};
  const Data elsewhere{pattern(512, 9)};
  rig.spy->gate.reset();
  std::optional<volume::Comparison> swapped;
  std::optional<IoStatus> written;
  std::optional<IoStatus> apart;
  rig.start(rig.volume->compare_and_write(rig.request, Lba{0}, zeros.view(), first.view(), Fua::no),
            &swapped);
  rig.start(rig.volume->write(rig.request, Lba{0}, second.view(), Fua::no), &written);
  rig.start(rig.volume->write(rig.request, Lba{1}, elsewhere.view(), Fua::no), &apart);
  assert_true(rig.spy->ops == (Ops{{"read", 0, 512, false}, {"write", 512, 512, false}}));
  rig.spy->gate.set();
  rig.run();
  assert_true(swapped.has_value() && !swapped->difference.has_value());
  assert_true(written == IoStatus::ok && apart == IoStatus::ok);
  assert_true(rig.stored(0, 512) == second.bytes());
  assert_true(rig.spy->ops[2] == (BackendOp{"write", 0, 512, false}));
  assert_true(rig.spy->ops[3] == (BackendOp{"write", 0, 512, false}));
}

void of_two_compare_and_writes_one_loses(void**) {
  VolumeRig rig;
  const Data zeros{std::vector<std::uint8_t>(512)};
  const Data first{pattern(512, 5)};
  const Data second{pattern(512, 9)};
  rig.spy->gate.reset();
  std::optional<volume::Comparison> a;
  std::optional<volume::Comparison> b;
  rig.start(rig.volume->compare_and_write(rig.request, Lba{0}, zeros.view(), first.view(), Fua::no),
            &a);
  rig.start(
      rig.volume->compare_and_write(rig.request, Lba{0}, zeros.view(), second.view(), Fua::no), &b);
  rig.spy->gate.set();
  rig.run();
  assert_true(a.has_value() && !a->difference.has_value());
  assert_true(b.has_value() && b->difference == 0u);
  assert_true(rig.stored(0, 512) == first.bytes());
}

void growing_grows_the_store(void**) {
  VolumeRig rig{Bytes{1 << 20}};
  assert_true(rig.wait_for(rig.volume->resize(BlockCount{4096})) == IoStatus::ok);
  assert_int_equal(rig.volume->capacity().value(), 4096);
  assert_int_equal(rig.store->geometry().size.value(), 2 << 20);
}

void a_store_that_cannot_grow_leaves_the_capacity(void**) {
  VolumeRig rig{Bytes{1 << 20}};
  rig.spy->failures["resize"] = IoStatus::no_space;
  assert_true(rig.wait_for(rig.volume->resize(BlockCount{4096})) == IoStatus::no_space);
  assert_int_equal(rig.volume->capacity().value(), 2048);
}

void shrinking_leaves_the_store_alone(void**) {
  VolumeRig rig{Bytes{1 << 20}};
  assert_true(rig.wait_for(rig.volume->resize(BlockCount{1024})) == IoStatus::ok);
  assert_int_equal(rig.volume->capacity().value(), 1024);
  assert_true(rig.spy->ops.empty());
}

void the_capacity_may_be_less_than_the_store(void**) {
  volume::VolumeConfig config;
  config.logical_block = Bytes{4096};
  config.capacity = BlockCount{100};
  VolumeRig rig{Bytes{1 << 20}, config};
  assert_int_equal(rig.volume->capacity().value(), 100);
  assert_int_equal(rig.volume->logical_block().value(), 4096);
  const Data data{pattern(4096)};
  (void)rig.wait_for(rig.volume->write(rig.request, Lba{99}, data.view(), Fua::no));
  assert_true(rig.spy->ops == (Ops{{"write", 99 * 4096, 4096, false}}));
}

// --- failed flushes
// -------------------------------------------------------------------------------

IoStatus flush(VolumeRig& rig, volume::Request& request) {
  return rig.wait_for(rig.volume->flush(request)).value();
}

// Starts `task` of `request`, which is told to end while it hangs; then it fails.
void fail_unheard(VolumeRig& rig, volume::Request& request, co::Task<IoStatus> task,
                  const char* operation) {
  std::optional<IoStatus> result;
  rig.spy->gate.reset();
  rig.start(std::move(task), &result);
  request.stop();
  rig.spy->failures[operation] = IoStatus::medium_error;
  rig.spy->gate.set();
  rig.run();
  assert_true(result == IoStatus::medium_error);
  rig.spy->failures.clear();
}

void a_failed_flush_that_nobody_heard_of_fails_the_next_one_once(void**) {
  VolumeRig rig;
  volume::Request orphan;
  fail_unheard(rig, orphan, rig.volume->flush(orphan), "flush");
  assert_int_equal(flush(rig, rig.request), IoStatus::medium_error);
  assert_int_equal(flush(rig, rig.request), IoStatus::ok);
}

// A store that was taken away, and is opened again.
void a_loss_is_not_hidden_by_a_store_that_is_not_ready(void**) {
  VolumeRig rig;
  volume::Request orphan;
  fail_unheard(rig, orphan, rig.volume->flush(orphan), "flush");
  volume::Request stopped;
  rig.spy->failures["flush"] = IoStatus::not_ready;
  assert_int_equal(flush(rig, stopped), IoStatus::medium_error);
  stopped.stop();  // before it could tell
  assert_int_equal(flush(rig, rig.request), IoStatus::medium_error);
  assert_int_equal(flush(rig, rig.request), IoStatus::not_ready);  // that was told
  rig.spy->failures.clear();
  assert_int_equal(flush(rig, rig.request), IoStatus::ok);
}

void a_failure_that_was_heard_of_is_over(void**) {
  VolumeRig rig;
  rig.spy->failures["flush"] = IoStatus::medium_error;
  assert_int_equal(flush(rig, rig.request), IoStatus::medium_error);
  rig.spy->failures.clear();
  assert_int_equal(flush(rig, rig.request), IoStatus::ok);
}

void a_request_that_is_stopped_before_it_can_tell_leaves_its_failure_to_the_next(void**) {
  VolumeRig rig;
  volume::Request first;
  volume::Request second;
  rig.spy->failures["flush"] = IoStatus::no_space;
  assert_int_equal(flush(rig, first), IoStatus::no_space);
  first.stop();
  rig.spy->failures.clear();
  assert_int_equal(flush(rig, second), IoStatus::no_space);
  second.stop();
  assert_int_equal(flush(rig, rig.request), IoStatus::no_space);
  assert_int_equal(flush(rig, rig.request), IoStatus::ok);
}

void a_write_whose_flush_failed_unheard_fails_the_next_flush(void**) {
  VolumeRig rig{Bytes{1 << 20}, {}, without_fua};
  const Data data{pattern(512)};
  volume::Request orphan;
  rig.spy->gate_after("write");
  std::optional<IoStatus> result;
  rig.start(rig.volume->write(orphan, Lba{0}, data.view(), Fua::yes), &result);
  orphan.stop();
  rig.spy->failures["flush"] = IoStatus::medium_error;
  rig.spy->gate.set();
  rig.run();
  assert_true(result == IoStatus::medium_error);
  rig.spy->failures.clear();
  assert_int_equal(flush(rig, rig.request), IoStatus::medium_error);
  assert_int_equal(flush(rig, rig.request), IoStatus::ok);
}

void a_durable_write_that_failed_unheard_fails_the_next_flush(void**) {
  VolumeRig rig;
  const Data data{pattern(512)};
  for (const Fua fua : {Fua::no, Fua::yes}) {
    volume::Request orphan;
    fail_unheard(rig, orphan, rig.volume->write(orphan, Lba{0}, data.view(), fua), "write");
    assert_int_equal(ok(flush(rig, rig.request)), fua == Fua::no);
    assert_int_equal(flush(rig, rig.request), IoStatus::ok);
  }
}

void a_flush_covers_no_change_that_a_failed_one_covered_before(void**) {
  VolumeRig rig;
  const std::uint64_t mark = rig.volume->flush_mark();
  rig.spy->failures["flush"] = IoStatus::medium_error;
  assert_int_equal(flush(rig, rig.request), IoStatus::medium_error);
  rig.spy->failures.clear();
  assert_true(rig.wait_for(rig.volume->flush(rig.request, mark)) == IoStatus::medium_error);
  assert_int_equal(flush(rig, rig.request), IoStatus::ok);
}

void a_flush_that_did_not_take_place_is_no_failed_one(void**) {
  VolumeRig rig;
  volume::Request orphan;
  rig.spy->cancellable = true;
  rig.spy->gate.reset();
  std::optional<IoStatus> result;
  rig.start(rig.volume->flush(orphan), &result);
  orphan.stop();
  rig.spy->gate.set();
  rig.run();
  assert_true(result == IoStatus::cancelled);
  assert_int_equal(flush(rig, rig.request), IoStatus::ok);
}

void flushing_all_waits_for_the_changes_under_way_and_holds_up_none(void**) {
  VolumeRig rig;
  const Data data{pattern(512)};
  volume::Request flusher;
  std::optional<IoStatus> earlier;
  std::optional<IoStatus> later;
  std::optional<IoStatus> flushed;
  rig.spy->gate.reset();
  rig.start(rig.volume->write(rig.request, Lba{0}, data.view(), Fua::no), &earlier);
  rig.start(rig.volume->flush_all(flusher), &flushed);
  assert_int_equal(rig.spy->ops.size(), 1);
  volume::Request another;
  rig.start(rig.volume->write(another, Lba{1}, data.view(), Fua::no), &later);
  assert_int_equal(rig.spy->ops.size(), 2);
  rig.spy->gate.set();
  rig.run();
  assert_true(flushed == IoStatus::ok && earlier == IoStatus::ok && later == IoStatus::ok);
  assert_string_equal(rig.spy->ops[2].name.c_str(), "flush");
}

// --- shut
// -----------------------------------------------------------------------------------------

// What each kind of operation ends with.
std::vector<IoStatus> each_once(VolumeRig& rig) {
  const Data data{pattern(512)};
  volume::Volume& volume = *rig.volume;
  std::vector<backend::Extent> extents;
  std::vector<IoStatus> ended;
  const auto add = [&rig, &ended](co::Task<IoStatus> task) {
    ended.push_back(rig.wait_for(std::move(task)).value());
  };
  const auto add_status = [&rig, &ended](co::Task<volume::Comparison> task) {
    ended.push_back(rig.wait_for(std::move(task)).value().status);
  };
  add(volume.read(rig.request, Lba{0}, data.view()));
  add(volume.write(rig.request, Lba{0}, data.view(), Fua::no));
  add(volume.write(rig.request, Lba{0}, data.view(), Fua::yes));
  add(volume.zero(rig.request, Lba{0}, BlockCount{1}, MayUnmap::yes));
  add(volume.unmap(rig.request, Lba{0}, BlockCount{1}));
  add(volume.write_same(rig.request, Lba{0}, BlockCount{1}, data.view(), MayUnmap::no));
  add(volume.flush(rig.request));
  add(volume.flush_all(rig.request));
  add(volume.verify(rig.request, Lba{0}, BlockCount{1}));
  add(volume.block_status(rig.request, Lba{0}, BlockCount{1}, 1, &extents));
  add_status(volume.compare(rig.request, Lba{0}, data.view()));
  add_status(volume.compare_same(rig.request, Lba{0}, BlockCount{1}, data.view()));
  add_status(volume.compare_and_write(rig.request, Lba{0}, data.view(), data.view(), Fua::no));
  return ended;
}

void shut_nothing_reaches_the_backend(void**) {
  VolumeRig rig{Bytes{1 << 20}, {}, without_fua};
  assert_true(each_once(rig) == std::vector<IoStatus>(13, IoStatus::ok));
  rig.spy->ops.clear();
  rig.volume->shut();
  assert_true(each_once(rig) == std::vector<IoStatus>(13, IoStatus::cancelled));
  assert_true(rig.wait_for(rig.volume->resize(BlockCount{4096})) == IoStatus::not_ready);
  assert_true(rig.spy->ops.empty());
}

void what_has_not_reached_the_backend_when_it_is_shut_never_does(void**) {
  volume::VolumeConfig config;
  config.queue_depth = 1;
  VolumeRig rig{Bytes{1 << 20}, config, without_fua};
  const Data data{pattern(512)};
  volume::Request another;
  std::optional<IoStatus> written;  // and not flushed
  std::optional<IoStatus> read;     // waits for its place
  rig.spy->gate.reset();
  rig.start(rig.volume->write(rig.request, Lba{0}, data.view(), Fua::yes), &written);
  rig.start(rig.volume->read(another, Lba{8}, data.view()), &read);
  rig.volume->shut();
  rig.spy->gate.set();
  rig.run();
  assert_true(written == IoStatus::cancelled && read == IoStatus::cancelled);
  assert_true(rig.spy->ops == (Ops{{"write", 0, 512, false}}));
}

// --- one resize after the other
// -------------------------------------------------------------------

void a_resize_that_is_overtaken_says_so_and_the_last_one_counts(void**) {
  VolumeRig rig{Bytes{1 << 20}};
  std::optional<IoStatus> grown;
  rig.spy->gate.reset();
  rig.start(rig.volume->resize(BlockCount{4096}), &grown);
  assert_true(rig.wait_for(rig.volume->resize(BlockCount{1024})) == IoStatus::ok);
  rig.spy->gate.set();
  rig.run();
  assert_true(grown == IoStatus::cancelled);
  assert_int_equal(rig.volume->capacity().value(), 1024);
}

void resizes_go_to_the_store_one_at_a_time(void**) {
  VolumeRig rig{Bytes{1 << 20}};
  std::array<std::optional<IoStatus>, 4> results;
  rig.spy->gate.reset();
  std::uint64_t blocks = 4096;
  for (std::optional<IoStatus>& result : results) {
    rig.start(rig.volume->resize(BlockCount{blocks}), &result);
    blocks += 2048;
  }
  assert_true(results[1] == IoStatus::cancelled && results[2] == IoStatus::cancelled);
  assert_int_equal(rig.spy->ops.size(), 1);
  rig.spy->gate.set();
  rig.run();
  assert_true(results[0] == IoStatus::cancelled && results[3] == IoStatus::ok);
  assert_int_equal(rig.spy->most_running, 1);
  assert_int_equal(rig.volume->capacity().value(), 4096 + 3 * 2048);
}

void asking_again_for_the_same_size_is_fine(void**) {
  VolumeRig rig{Bytes{1 << 20}};
  std::optional<IoStatus> first;
  std::optional<IoStatus> again;
  rig.spy->gate.reset();
  rig.start(rig.volume->resize(BlockCount{4096}), &first);
  rig.start(rig.volume->resize(BlockCount{4096}), &again);
  rig.spy->gate.set();
  rig.run();
  assert_true(again == IoStatus::ok);
  assert_int_equal(rig.spy->ops.size(), 1);
  assert_int_equal(rig.volume->capacity().value(), 4096);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_megabyte_is_read_and_written_whole),
      cmocka_unit_test(fua_is_handed_on_where_the_backend_has_it),
      cmocka_unit_test(fua_is_a_write_and_a_flush_where_it_has_not),
      cmocka_unit_test(a_failed_flush_fails_the_fua_write),
      cmocka_unit_test(a_pattern_is_durable_piece_by_piece_on_a_store_that_begins_write_through),
      cmocka_unit_test(zeroing_is_one_operation_where_the_backend_has_it),
      cmocka_unit_test(zeros_are_written_in_chunks_where_it_has_not),
      cmocka_unit_test(zeros_are_written_where_the_backend_cannot_zero_after_all),
      cmocka_unit_test(a_pattern_is_replicated_bit_for_bit),
      cmocka_unit_test(a_pattern_does_not_wait_for_comparisons_that_hang),
      cmocka_unit_test(what_is_left_after_a_whole_chunk_is_written_too),
      cmocka_unit_test(a_pattern_of_zeros_becomes_a_zeroing),
      cmocka_unit_test(one_bit_in_the_last_byte_is_not_zero),
      cmocka_unit_test(unmapping_what_cannot_be_unmapped_is_fine),
      cmocka_unit_test(no_more_than_queue_depth_operations_run_at_once),
      cmocka_unit_test(with_an_elevator_operations_go_in_its_order),
      cmocka_unit_test(what_waits_for_the_elevator_ends_when_it_is_stopped),
      cmocka_unit_test(a_change_takes_a_place_of_the_elevator_only_without_the_log),
      cmocka_unit_test(a_queue_depth_of_one_is_enough_for_everything),
      cmocka_unit_test(a_comparison_finds_the_first_byte_that_differs),
      cmocka_unit_test(each_block_is_compared_with_one),
      cmocka_unit_test(compare_and_write_writes_nothing_on_a_difference),
      cmocka_unit_test(compare_and_write_is_alone_with_its_blocks),
      cmocka_unit_test(of_two_compare_and_writes_one_loses),
      cmocka_unit_test(growing_grows_the_store),
      cmocka_unit_test(a_store_that_cannot_grow_leaves_the_capacity),
      cmocka_unit_test(shrinking_leaves_the_store_alone),
      cmocka_unit_test(the_capacity_may_be_less_than_the_store),
      cmocka_unit_test(a_failed_flush_that_nobody_heard_of_fails_the_next_one_once),
      cmocka_unit_test(a_loss_is_not_hidden_by_a_store_that_is_not_ready),
      cmocka_unit_test(a_failure_that_was_heard_of_is_over),
      cmocka_unit_test(a_request_that_is_stopped_before_it_can_tell_leaves_its_failure_to_the_next),
      cmocka_unit_test(a_write_whose_flush_failed_unheard_fails_the_next_flush),
      cmocka_unit_test(a_durable_write_that_failed_unheard_fails_the_next_flush),
      cmocka_unit_test(a_flush_covers_no_change_that_a_failed_one_covered_before),
      cmocka_unit_test(a_flush_that_did_not_take_place_is_no_failed_one),
      cmocka_unit_test(flushing_all_waits_for_the_changes_under_way_and_holds_up_none),
      cmocka_unit_test(shut_nothing_reaches_the_backend),
      cmocka_unit_test(what_has_not_reached_the_backend_when_it_is_shut_never_does),
      cmocka_unit_test(a_resize_that_is_overtaken_says_so_and_the_last_one_counts),
      cmocka_unit_test(resizes_go_to_the_store_one_at_a_time),
      cmocka_unit_test(asking_again_for_the_same_size_is_fine),
  };
  return cmocka_run_group_tests_name("volume", tests, nullptr, nullptr);
}
