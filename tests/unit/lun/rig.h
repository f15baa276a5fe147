// SPDX-License-Identifier: Apache-2.0
// The shipped LUN over a spy backend: send() runs one command to its end. Include this file before
// tests/cmocka.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "lib/backend/checked.h"
#include "lib/base/log.h"
#include "lib/co/sim_executor.h"
#include "lib/lun/lun.h"
#include "tests/unit/scsi/rig.h"

namespace ballast::test {

// A StoreSource that has its store when the test says so, or never.
class RigSource final : public backend::StoreSource {
 public:
  struct Is {
    State state = State::trying;
    backend::Store store;
    bool wanted = true;
  };
  explicit RigSource(Is& is) : is_{is} {}
  ~RigSource() override { is_.wanted = false; }
  State state() override { return is_.state; }
  Error error() override { return Error{EIO, "the test refuses it"}; }
  backend::Store take() override { return std::move(is_.store); }

 private:
  Is& is_;
};

inline lun::LunSetup usual_setup() {
  return {.name = "vol0",
          .config = {},
          .logical_block = Bytes{512},
          .capacity = BlockCount{8192},
          .max_transfer_blocks = 2048,
          .tolerated_transfer_blocks = 2048};
}

class LunRig : public scsi::FrontEnd {
 public:
  explicit LunRig(lun::LunSetup setup = usual_setup(), bool ready = true,
                  lun::CopyOffers* copy_offers = nullptr)
      : buffers{io::BufferPool::open(executor(), Bytes{io::BufferPool::largest}).value()},
        lun{std::make_unique<lun::Lun>(
            lun::Runtime{executor(), *buffers, stalled_luns, copy_offers}, setup, *this)} {
    set_log_sink([](LogLevel, std::string_view) {});
    if (ready) {
      lun->use(make_store(setup));
    }
  }
  ~LunRig() override {
    if (!closed) {
      close();
    }
    spy_thaws();
    sim.run_until_idle();
    lun.reset();
  }

  co::Executor& executor() { return sim.executor(); }

  backend::Store make_store(const lun::LunSetup& setup) {
    auto inner = std::make_unique<SpyBackend>(
        executor(), Bytes{setup.capacity.value() * setup.logical_block.value()},
        setup.logical_block);
    spy = inner.get();
    spy->pretend().fua = false;
    spy->pretend().volatile_cache = true;
    return {backend::make_checked(std::move(inner)), nullptr};
  }
  void close(Nanoseconds patience = {}) {
    closed = true;
    lun->close(patience);
    sim.run_ready();
  }
  void spy_thaws() {
    if (spy != nullptr && !lun->is_gone()) {
      spy->gate.set();
    }
  }

  // `data`: the whole buffer, with the data-out, or with room for the data-in.
  Answer send(const Bytes8& cdb, const Bytes8& data = {}, std::size_t segment = 0) {
    start(cdb, data, segment);
    return look();
  }
  // The same for a command that may stay in the LUN beside others.
  void start(const Bytes8& cdb, const Bytes8& data = {}, std::size_t segment = 0) {
    sent_.push_back(std::make_unique<Sent>(cdb, data, segment));
    Sent& sent = *sent_.back();
    if (!lun->is_identified() && identified) {
      lun->identify({.unit_serial = serial});
    }
    lun->begin(sent);
    sim.run_ready();
  }
  // The answer of the last one, if it had not ended.
  Answer look() { return look(sent_.size() - 1); }
  // The same of any that had not ended when it was last looked at: the oldest of them is 0.
  Answer look(std::size_t place) {
    Sent& sent = *sent_.at(place);
    Answer answer;
    answer.ended = sent.status.has_value();
    answer.status = sent.status.value_or(scsi::Status::busy);
    answer.data = sent.buffer.bytes();
    answer.transferred = sent.transferred;
    answer.reply.assign(answer.data.begin(),
                        answer.data.begin() + static_cast<std::ptrdiff_t>(sent.transferred));
    answer.sense.assign(sent.sense.begin(),
                        sent.sense.begin() + static_cast<std::ptrdiff_t>(sent.sense_length));
    if (answer.ended) {
      sent_.erase(sent_.begin() + static_cast<std::ptrdiff_t>(place));
    }
    return answer;
  }
  Answer ask(const Bytes8& cdb, std::size_t room = 512) { return send(cdb, Bytes8(room, 0xa5)); }

  // Reads from the store itself, whatever it is doing.
  Bytes8 stored(std::uint64_t offset, std::size_t length) {
    const Data data{Bytes8(length)};
    run_at_store(spy->read(Bytes{offset}, data.view(), {}));
    return data.bytes();
  }
  void store_bytes(std::uint64_t offset, Bytes8 bytes) {
    const Data data{std::move(bytes)};
    run_at_store(spy->write(Bytes{offset}, data.view(), backend::Fua::no, {}));
  }

  void answer(scsi::Command& command, scsi::Status status) override {
    static_cast<Sent&>(command).status = status;
  }

  co::SimExecutor sim{1, "test"};
  std::unique_ptr<io::BufferPool> buffers;
  scsi::StalledLuns stalled_luns;
  SpyBackend* spy = nullptr;  // inside the LUN
  std::unique_ptr<lun::Lun> lun;
  bool identified = true;  // with the first command
  std::string serial = "3d2f0e1c-77aa-4b55-9c01-0123456789ab";
  bool closed = false;

 private:
  static co::Task<void> forget(co::Executor&, co::Task<IoStatus> task) {
    (void)co_await std::move(task);
  }
  void run_at_store(co::Task<IoStatus> task) {
    const std::vector<BackendOp> ops = spy->ops;
    group_.spawn("test", forget(executor(), std::move(task)));
    sim.run_ready();
    spy->ops = ops;
  }

  // What the LUN borrows until it answers.
  struct Sent : scsi::Command {
    Sent(const Bytes8& bytes, const Bytes8& contents, std::size_t segment)
        : buffer{contents, segment}, cdb_memory{new std::uint8_t[bytes.size()]} {
      // Exactly as long as the CDB says, so that reading beyond it is noticed.
      std::copy(bytes.begin(), bytes.end(), cdb_memory.get());
      cdb = {cdb_memory.get(), bytes.size()};
      data = buffer.view();
      sense = sense_memory;
    }
    Data buffer;
    std::unique_ptr<std::uint8_t[]> cdb_memory;
    std::array<std::uint8_t, scsi::sense_size> sense_memory{};
    std::optional<scsi::Status> status;
  };

  co::TaskGroup group_{executor()};
  std::vector<std::unique_ptr<Sent>> sent_;
};

}  // namespace ballast::test
