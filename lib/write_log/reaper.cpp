// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/reaper.h"

#include <algorithm>

#include "lib/base/log.h"
#include "lib/co/sleep.h"

namespace ballast::write_log {

Reaper::Reaper(Device& device, backend::Backend& store, Contents& contents, Ring& ring,
               Pacer& pacer, Writer& writer, Superblocks& superblocks, Superblock& superblock,
               Order order, const Sabotage& sabotage)
    : device_{device},
      executor_{device.executor()},
      store_{store},
      contents_{contents},
      ring_{ring},
      pacer_{pacer},
      writer_{writer},
      superblocks_{superblocks},
      superblock_{superblock},
      sabotage_{sabotage},
      batch_{superblock, sabotage.epochs_ignored ? Order::free : order},
      trimmed_{executor_, "the log to be written back", contents.tail().sequence - 1},
      wanted_{executor_, "the log to fill up"},
      operations_{executor_, "the log to be drained"},
      tasks_{executor_} {
  for (std::vector<iovec>& segments : segments_) {
    segments.reserve(Batch::extent_bytes / superblock.block);
  }
}

void Reaper::start() {
  tasks_.spawn("the log's reaper", run());
}

bool Reaper::hurries() const {
  return hurry_to_ >= contents_.tail().sequence || ring_.used() * 2 >= ring_.bytes() ||
         device_failed();
}

bool Reaper::is_time() const {
  return hurries() || ring_.used() * 4 >= ring_.bytes() ||
         executor_.now() - writer_.last_activity() >= idle;
}

co::Task<void> Reaper::run() {
  Nanoseconds wait = first_wait;
  while (!stop_.requested() && !is_stuck_) {
    step_ = Step::waits;
    if (contents_.tail().sequence == contents_.end().sequence) {
      const std::uint64_t next = contents_.end().sequence;
      const IoStatus status = co_await writer_.reached(next, stop_.token());
      if (!ok(status)) {
        break;  // no block comes any more
      }
      continue;
    }
    if (!is_time()) {
      wanted_.reset();
      (void)co_await wanted_.wait_until(executor_.now() + idle / 4, stop_.token());
      continue;
    }
    const IoStatus status = co_await reap();
    if (ok(status)) {
      wait = first_wait;
      continue;
    }
    step_ = Step::waits_to_retry;
    (void)co_await co::sleep_for(executor_, wait, stop_.token());
    wait = std::min(2 * wait, longest_wait);
  }
  step_ = Step::has_ended;
}

// The last block that may go to the store now.
co::Task<std::uint64_t> Reaper::last_to_reap() {
  if (ok(writer_.failure()) && writer_.durable() < contents_.tail().sequence) {
    (void)co_await writer_.make_durable(writer_.written());
  }
  co_return ok(writer_.failure()) ? writer_.durable() : writer_.written();
}

co::Task<IoStatus> Reaper::reap() {
  pacer_.begins(executor_.now());
  step_ = Step::makes_durable;
  const std::uint64_t last = co_await last_to_reap();
  if (last < contents_.tail().sequence) {
    co_return IoStatus::not_ready;
  }
  const std::uint64_t begin = contents_.tail().offset;
  const std::uint64_t bytes = Batch::bytes_at_tail(contents_, last);
  step_ = Step::reads;
  IoStatus status = co_await device_.read(begin, batch_.memory().first(bytes));
  if (!ok(status)) {
    note_failed_read(status);
    co_return status;
  }
  failed_reads_ = 0;
  const Result<void> begun = batch_.begin(contents_, last, bytes, device_.name());
  if (!begun.ok()) {
    get_stuck();
    log(LogLevel::error,
        "{}. Nothing from there on is written to the store; what the log has stays in it",
        begun.error().message);
    co_return IoStatus::medium_error;
  }
  step_ = Step::writes;
  status = co_await write_batch();
  if (ok(status)) {
    step_ = Step::trims;
    status = co_await trim();
  }
  co_return status;
}

// A device that is not ready may be later, and memory may come. Only what cannot be read is damage.
void Reaper::note_failed_read(IoStatus status) {
  if (status != IoStatus::medium_error || ++failed_reads_ < most_failed_reads) {
    return;
  }
  get_stuck();
  log(LogLevel::error,
      "{}: block {} of the log, at offset {}, or one behind it, could not be read {} times. "
      "Nothing from there on is written to the store; what the log has stays in it",
      device_.name(), contents_.tail().sequence, contents_.tail().offset, failed_reads_);
}

// The tail does not move any more. So what waits for room waits in vain.
void Reaper::get_stuck() {
  is_stuck_ = true;
  trimmed_.fail(IoStatus::medium_error);
  writer_.fail(IoStatus::medium_error);
}

const char* to_string(Reaper::Step step) {
  switch (step) {
    case Reaper::Step::waits:
      return "waits until it is time";
    case Reaper::Step::makes_durable:
      return "makes blocks of the log durable";
    case Reaper::Step::reads:
      return "reads a batch out of the log";
    case Reaper::Step::writes:
      return "writes its batch to the store";
    case Reaper::Step::flushes:
      return "flushes the store";
    case Reaper::Step::trims:
      return "gives the room of its batch back";
    case Reaper::Step::waits_to_retry:
      return "waits to try again";
    case Reaper::Step::has_ended:
      return "has ended";
  }
  return "?";
}

// --- to the store --------------------------------------------------------------------------------

co::Task<IoStatus> Reaper::write_batch() {
  batch_status_ = IoStatus::ok;
  const std::size_t lanes = hurries() ? most_writes : 1;
  co::TaskGroup writes{executor_};
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    writes.spawn("writes of the log to the store", write_runs(lane));
  }
  co_await writes.join();
  if (ok(batch_status_) && !sabotage_.trim_without_store_flush) {
    step_ = Step::flushes;
    batch_status_ = co_await store_.flush(stop_.token());
  }
  if (ok(batch_status_)) {
    pacer_.answered(executor_.now());
  }
  if (!ok(batch_status_) && !stop_.requested()) {
    log(LogLevel::warning,
        "{}: what the log {} has cannot be written there ({}); Ballast tries again, and the log "
        "keeps it until then",
        store_.description(), device_.name(), to_string(batch_status_));
  }
  co_return batch_status_;
}

co::Task<void> Reaper::write_runs(std::size_t lane) {
  while (ok(batch_status_)) {
    const std::optional<Batch::Run> run = batch_.take(&segments_[lane]);
    if (!run) {
      co_return;
    }
    const IoStatus status = co_await write_run(*run, lane);
    if (ok(status)) {
      pacer_.answered(executor_.now());
    } else if (ok(batch_status_)) {
      batch_status_ = status;
    }
  }
}

co::Task<IoStatus> Reaper::write_run(Batch::Run run, std::size_t lane) {
  const Bytes offset{run.lba.value() * superblock_.block};
  IoStatus status = IoStatus::ok;
  if (run.kind == Kind::data) {
    const std::span<const iovec> segments = segments_[lane];
    const io::SgView view{segments};
    status = co_await store_.write(offset, view, backend::Fua::no, stop_.token());
    co_return status;
  }
  const Bytes length{run.blocks.value() * superblock_.block};
  const auto may_unmap = run.kind == Kind::unmap ? backend::MayUnmap::yes : backend::MayUnmap::no;
  status = co_await store_.zero(offset, length, may_unmap, stop_.token());
  if (status == IoStatus::not_supported) {
    status = co_await write_zeros(offset, length);
  }
  co_return status;
}

co::Task<IoStatus> Reaper::write_zeros(Bytes offset, Bytes length) {
  const Memory zeros = make_zeros(Batch::extent_bytes);
  if (zeros == nullptr) {
    co_return IoStatus::no_resource;
  }
  IoStatus status = IoStatus::ok;
  while (ok(status) && length > Bytes{}) {
    const Bytes part = std::min(length, Bytes{Batch::extent_bytes});
    const iovec segment{zeros.get(), part.value()};
    const std::span<const iovec> segments{&segment, 1};
    const io::SgView view{segments};
    status = co_await store_.write(offset, view, backend::Fua::no, stop_.token());
    offset += part;
    length -= part;
    if (ok(status)) {
      pacer_.answered(executor_.now());
    }
  }
  co_return status;
}

// --- room ----------------------------------------------------------------------------------------

co::Task<IoStatus> Reaper::trim() {
  const Position tail = batch_.end();
  if (sabotage_.reuse_before_superblock) {
    ring_.trimmed(tail);
    writer_.room_came();
  }
  superblock_.tail = tail;
  superblock_.durable = writer_.durable();
  const IoStatus status = co_await superblocks_.write(superblock_);
  if (!ok(status) && ok(device_.failure())) {
    co_return status;
  }
  batch_.drop_from(&contents_);
  if (ok(status)) {
    const std::uint64_t used = ring_.used();
    ring_.trimmed(tail);
    pacer_.trimmed(used - ring_.used(), executor_.now());
  }
  trimmed_.advance(tail.sequence - 1);
  writer_.room_came();
  co_return IoStatus::ok;
}

void Reaper::hurry() {
  hurry_to_ = std::max(hurry_to_, contents_.end().sequence - 1);
  wanted_.set();
}

co::Task<IoStatus> Reaper::drain() {
  if (stop_.requested()) {
    co_return IoStatus::not_ready;
  }
  const co::Gate::Guard inside{operations_};
  const std::uint64_t last = contents_.end().sequence - 1;
  hurry();
  const IoStatus status = co_await trimmed_.reached(last);
  co_return status;
}

co::Task<void> Reaper::close() {
  stop_.request();
  co_await tasks_.join();
  trimmed_.fail(IoStatus::not_ready);
  operations_.close();
  co_await operations_.drain();
}

}  // namespace ballast::write_log
