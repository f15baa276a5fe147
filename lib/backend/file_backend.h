// SPDX-License-Identifier: Apache-2.0
// File: the class behind file.h. Its operations are in file.cpp (read, write, flush, close) and in
// file_ranges.cpp (zero, discard, what a range holds, resize).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/backend/error_log.h"
#include "lib/backend/factory.h"
#include "lib/backend/file_label.h"
#include "lib/backend/file_open.h"
#include "lib/backend/lane_choice.h"
#include "lib/backend/queue_share.h"
#include "lib/backend/shared_access.h"
#include "lib/base/assert.h"
#include "lib/co/gate.h"
#include "lib/co/mutex.h"
#include "lib/io/scratch.h"
#include "lib/io/uring.h"
#include "lib/io/uring_transfer.h"

namespace ballast::backend {

class File final : public Backend {
 public:
  File(OpenFile file, std::string path, const OpenContext& context);
  // With lock=pr, before anything else.
  void share(std::string lun);
  ~File() override {
    if (file_.fd) {
      BALLAST_ASSERT(!running_.used());
      uring_.unregister_file(handle_);
    }
  }

  co::Executor& executor() override { return executor_; }
  const Geometry& geometry() const override { return file_.geometry; }
  const Capabilities& capabilities() const override { return file_.capabilities; }
  std::string description() const override { return "file=" + path_; }
  SharedStore* shared() override { return access_.get(); }

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override;
  co::Task<IoStatus> write(Bytes offset, io::SgView from, Fua fua, co::CancelToken cancel) override;
  co::Task<IoStatus> zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                          co::CancelToken cancel) override;
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel) override;
  co::Task<IoStatus> flush(co::CancelToken cancel) override;
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<Extent>* out) override;
  co::Task<std::optional<Room>> room() override;
  co::Task<IoStatus> resize(Bytes size) override;
  co::Task<Result<void>> write_label(std::optional<Label> label) override;
  co::Task<void> close() override;

 private:
  // Where an operation runs. No gate: the device is not ours. The session lives until the operation
  // has left the gate.
  struct Place {
    co::Gate* gate = nullptr;
    AccessSession* session = nullptr;  // of a shared device
  };
  Place place() {
    if (access_ == nullptr) [[likely]] {
      return {.gate = &running_, .session = nullptr};
    }
    AccessSession* const session = access_->session();
    return {.gate = session != nullptr ? &session->running() : nullptr, .session = session};
  }
  bool must_verify() { return access_ != nullptr && access_->must_verify(); }
  // Comes after verified().
  Place place_of_change() { return must_verify() ? Place{} : place(); }
  bool is_robbed(const Place& place, int result);

  bool moves_in_place(io::SgView view) const;
  // `under_way` counts the operation already.
  io::Lane lane_of_read(std::size_t under_way) const {
    return lanes_.read(executor_.now(), under_way, share_);
  }
  io::Lane lane_of_write(bool durable, std::size_t under_way, LaneChoice::Tick* tick) const;
  io::Lane lane_of_bounced() const { return file_.in_memory ? io::Lane::here : io::Lane::store; }
  void note_refusal(const io::Transfer& transfer) {
    if (transfer.refused() != 0) {
      lanes_.refused(transfer.refused());
    }
  }
  co::Task<int> bounced_read(Bytes offset, io::SgView to, io::OpTicket* ticket,
                             co::CancelToken cancel);
  co::Task<int> bounced_write(Bytes offset, io::SgView from, int flags, io::OpTicket* ticket,
                              co::CancelToken cancel);
  co::Task<int> fallocate(co::Gate& gate, int mode, bool& missing, Bytes offset, Bytes length,
                          co::CancelToken cancel);
  Result<void> give_size(Bytes size);
  LabelledFile label_of(const UniqueFd& own) const;
  IoStatus write_status(Bytes offset, std::size_t length, int result, bool durable);
  bool loses_data(int result) const;

  co::Executor& executor_;
  io::Uring& uring_;
  io::BufferPool& buffers_;
  io::ScratchPool spares_;
  io::HelperThread& helper_;
  OpenFile file_;
  const std::string path_;
  const io::UringFile handle_;
  co::Gate running_;                      // of a shared device, each session has its own
  std::unique_ptr<SharedAccess> access_;  // of a shared device
  LaneChoice lanes_;
  const QueueShare share_;
  co::Mutex shape_;  // the size and the label change one after the other
  ErrorLog errors_;
  // Set when the kernel says that it lacks a call; the call is not tried again.
  bool no_zero_range_ = false;
  bool no_punch_hole_ = false;
  bool no_discard_ = false;
  IoStatus lost_ = IoStatus::ok;  // not ok: acknowledged data is lost; how every flush ends
};

}  // namespace ballast::backend
