// SPDX-License-Identifier: Apache-2.0
// A process that has a LUN with a write log is killed with SIGKILL under load, again and again.
// Each next process opens the LUN anew, and reads all of it, before it writes on. Whatever was
// answered GOOD must be there; a write that was not answered may have happened or not, block by
// block. Nothing may be torn, and nothing older.
//
// Each block that was written says in each of its words where it belongs, or which write it is of.
// What was sent and what was answered is noted in memory that the parent shares, so it outlives the
// process. In some lives the store is frozen when it ends, so that nothing was written back; in
// some the end comes while the log is still being read.
//
// A third LUN is on a block device, and grows while it is written. If the end comes while it grows,
// the kernel may know the old size afterwards or the new one.
//
// At last the log is drained offline, and the store alone must have everything.
//
// usage: kill_sweep BALLASTCTL [KILLS OF EACH KIND]      environment: BALLAST_SEED
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/assert.h"
#include "tests/ring/support.h"
#include "tests/unit/backend/loop_device.h"

using namespace ballast::ring_test;

namespace {

using Random = std::mt19937_64;
using Clock = std::chrono::steady_clock;

constexpr const char* on_disk = "/var/tmp";
constexpr std::size_t block_size = 512;
constexpr std::size_t region_blocks = 256;
constexpr std::size_t workers_of_lun = 32;
constexpr std::size_t lun_blocks = workers_of_lun * region_blocks;  // before it grows
constexpr std::size_t most_lun_blocks = 8 * lun_blocks;
constexpr std::size_t most_growth = 2 * region_blocks;
constexpr std::size_t most_blocks = 128;  // in one command

// What a block holds: 0 if it is zeros, else the number of the write.
using Content = std::uint64_t;
constexpr Content nothing = ~Content{0};
// Of a block behind the first size until it is written: a device may have anything there.
constexpr Content anything = nothing - 1;

struct Block {
  std::atomic<Content> answered{0};
  std::atomic<Content> under_way{nothing};  // not answered yet, by nobody if the process has died
};

struct Shared {
  std::atomic<bool> begun{false};  // an operator has made the LUN
  std::atomic<bool> ready{false};  // everything was read, and the load has begun
  std::atomic<std::uint64_t> next{1};
  std::atomic<std::uint64_t> answered{0};  // changes
  std::atomic<std::uint64_t> happened{0};  // blocks of changes that were not answered
  std::atomic<std::uint64_t> did_not{0};
  // In blocks. They differ while nobody knows whether the LUN has grown.
  std::atomic<std::uint64_t> size{lun_blocks};
  std::atomic<std::uint64_t> growing_to{lun_blocks};
  // The largest of these so far. The LUN may have been so large, so the device stays as large.
  std::atomic<std::uint64_t> reach{lun_blocks};
  std::atomic<std::uint64_t> growths{0};
  Block blocks[most_lun_blocks];
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

void fill(std::byte* block, std::uint64_t lba, Content content) {
  for (std::size_t at = 0; at < block_size; at += 16) {
    const std::uint64_t words[2] = {content == 0 ? 0 : lba + 1, content};
    std::memcpy(block + at, words, sizeof words);
  }
}

// Returns `nothing` if it is torn, or of another place.
Content content_of(const std::byte* block, std::uint64_t lba) {
  Content content = 0;
  std::memcpy(&content, block + 8, sizeof content);
  std::byte whole[block_size];
  fill(whole, lba, content);
  return std::memcmp(whole, block, block_size) == 0 ? content : nothing;
}

// With room behind the LUN for its label.
ballast::Bytes device_size(std::uint64_t blocks) {
  return ballast::Bytes{(blocks * block_size + (std::uint64_t{64} << 10)) / 4096 * 4096};
}

// Notes what the blocks have now. Returns how many are wrong, and says so of the first few.
int compare(Shared& shared, std::uint64_t first, std::span<const std::byte> data,
            const char* where) {
  int wrong = 0;
  for (std::uint64_t lba = first; lba < first + data.size() / block_size; ++lba) {
    Block& block = shared.blocks[lba];
    const Content seen = content_of(data.data() + (lba - first) * block_size, lba);
    const Content under_way = block.under_way;
    if (block.answered == anything && (seen == nothing || seen != under_way)) {
      block.under_way = nothing;
    } else if (seen == nothing || (seen != block.answered && seen != under_way)) {
      if (++wrong <= 3) {
        std::fprintf(stderr, "block %llu %s has write %lld; answered: %lld, under way: %lld\n",
                     static_cast<unsigned long long>(lba), where, static_cast<long long>(seen),
                     static_cast<long long>(block.answered), static_cast<long long>(under_way));
      }
    } else if (under_way != nothing) {
      ++(seen == under_way ? shared.happened : shared.did_not);
      block.answered = seen;
      block.under_way = nothing;
    }
  }
  return wrong;
}

// ---- in the process that is killed --------------------------------------------------------------

// Sends one command after the other to its regions.
struct Worker {
  Lun* lun = nullptr;
  Shared* shared = nullptr;
  std::size_t number = 0;
  Random random;
  std::vector<std::byte> buffer = std::vector<std::byte>(most_blocks * block_size);
  Cdb cdb;
  std::size_t length = 0;
  std::uint64_t lba = 0;
  std::size_t blocks = 0;  // that it changes
  Content content = 0;

  static void answered(void* self, const Answer& answer);
  void draw();
  void send() {
    BALLAST_ASSERT(lun->submit(cdb, length > 0 ? Direction::to_device : Direction::none,
                               std::span{buffer}.first(length), {&Worker::answered, this}));
  }
};

// CAPACITY DATA HAS CHANGED.
bool has_grown(const Answer& answer) {
  return answer.status == 0x02 && answer.additional_sense() == 0x2a09;
}

void Worker::answered(void* self, const Answer& answer) {
  Worker& worker = *static_cast<Worker*>(self);
  if (answer.status == 0) {
    for (std::size_t i = 0; i < worker.blocks; ++i) {
      Block& block = worker.shared->blocks[worker.lba + i];
      block.answered = worker.content;
      block.under_way = nothing;
    }
    worker.shared->answered += worker.blocks > 0 ? 1 : 0;
    worker.draw();
  } else if (answer.status != 0x08 && !has_grown(answer)) {  // else once more, as an initiator does
    std::fprintf(stderr, "a command ended with status %u, sense key %u, %04x\n", answer.status,
                 answer.sense_key(), answer.additional_sense());
    ::_exit(2);
  }
  worker.send();
}

void Worker::draw() {
  const std::uint64_t choice = random() % 100;
  if (choice < 4) {
    cdb = cdb_10(0x35, 0, 0);
    blocks = length = 0;
    return;
  }
  const std::size_t most = random() % 4 == 0 ? most_blocks : 16;
  const std::size_t at = random() % region_blocks;
  // Its regions are number, number + workers_of_lun, and so on.
  const std::uint64_t regions = shared->size / region_blocks;
  const std::uint64_t own = (regions - number + workers_of_lun - 1) / workers_of_lun;
  lba = (number + random() % own * workers_of_lun) * region_blocks + at;
  blocks = std::min<std::size_t>(1 + random() % most, region_blocks - at);
  const auto count = static_cast<std::uint32_t>(blocks);
  if (choice < 12) {  // zeros: WRITE SAME (16), half of them with UNMAP
    content = 0;
    cdb = cdb_16(0x93, lba, count, random() % 2 == 0 ? 0x08 : 0);
    length = block_size;
    std::memset(buffer.data(), 0, length);
  } else {
    content = shared->next++;
    cdb = cdb_16(0x8a, lba, count, random() % 16 == 0 ? 0x08 : 0);
    length = blocks * block_size;
    for (std::size_t i = 0; i < blocks; ++i) {
      fill(buffer.data() + i * block_size, lba + i, content);
    }
  }
  for (std::size_t i = 0; i < blocks; ++i) {
    shared->blocks[lba + i].under_way = content;
  }
}

// Returns how many blocks are wrong.
int read_all(Lun& lun, Shared& shared) {
  int wrong = 0;
  std::vector<std::byte> memory(region_blocks * block_size);
  const std::uint64_t size = shared.size;
  for (std::uint64_t first = 0; first < size; first += region_blocks) {
    const auto count =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(region_blocks, size - first));
    const std::span<std::byte> data = std::span{memory}.first(count * block_size);
    const auto reads = [&] {
      return lun.execute(read_16(first, count), Direction::from_device, data).status == 0;
    };
    if (!eventually(reads, 1000)) {
      std::fprintf(stderr, "block %llu cannot be read\n", static_cast<unsigned long long>(first));
      return 1;
    }
    wrong += compare(shared, first, data, "of the LUN");
  }
  return wrong;
}

// The LUN grows now and then, by a number of blocks that is drawn.
void keep_growing(Lun& lun, ballast::test::LoopDevice& device, Shared& shared, std::uint64_t seed) {
  Random random{seed};
  while (shared.size + most_growth <= most_lun_blocks) {
    std::this_thread::sleep_for(std::chrono::milliseconds{random() % 150});
    const std::uint64_t wanted = shared.size + 1 + random() % most_growth;
    shared.reach = std::max<std::uint64_t>(shared.reach, wanted);
    if (!device.grow(device_size(shared.reach))) {
      std::fprintf(stderr, "the device cannot grow: %s\n", std::strerror(errno));
      ::_exit(2);
    }
    shared.growing_to = wanted;
    // The kernel takes the new size when the plugin has taken it, and only then.
    if (lun.reconfigure_size(wanted * block_size) == 0) {
      shared.size = wanted;
      ++shared.growths;
    } else {
      shared.growing_to = shared.size.load();
    }
  }
}

// A life of the LUN. If `last`, it ends by itself.
[[noreturn]] void live(const std::string& config, const std::string& records, Shared& shared,
                       ballast::test::LoopDevice* device, std::uint64_t seed, bool last) {
  ::alarm(180);
  ::setenv("BALLAST_RECORDS", records.c_str(), 1);
  load_built_plugin();
  // Each life but the first is as a daemon that starts again and finds the LUN: the kernel may
  // still be ending what the process before had under way, so that its files are in use for a
  // moment.
  LunOptions options;
  options.at_start = shared.begun.exchange(true);
  options.size = shared.size * block_size;
  const std::unique_ptr<Lun> lun = Lun::add(config, options);
  const auto opened = [&] { return lun->execute(test_unit_ready()).status == 0; };
  if (lun == nullptr || !eventually(opened, 6000)) {
    std::fprintf(stderr, "the LUN was not opened: %s\n", take_log().c_str());
    ::_exit(2);
  }
  if (read_all(*lun, shared) != 0) {
    std::fprintf(stderr, "%s\n", take_log().c_str());
    ::_exit(2);
  }
  if (last) {
    ::_exit(lun->remove() ? 0 : 2);
  }
  std::vector<Worker> workers(workers_of_lun);
  for (std::size_t i = 0; i < workers_of_lun; ++i) {
    workers[i].lun = lun.get();
    workers[i].shared = &shared;
    workers[i].number = i;
    workers[i].random.seed(seed + i);
    workers[i].draw();
  }
  for (Worker& worker : workers) {
    worker.send();
  }
  shared.ready = true;
  if (device != nullptr) {
    keep_growing(*lun, *device, shared, seed);
  }
  for (;;) {
    ::pause();
  }
}

// ---- in the parent ------------------------------------------------------------------------------

struct Counts {
  int kills = 0;
  int at_opening = 0;
  int frozen = 0;
  int growing = 0;
};

class Sweep {
 public:
  Sweep(std::string order, std::uint64_t seed, Shared& shared)
      : order_{std::move(order)}, random_{seed}, shared_{shared} {
    std::filesystem::create_directory(folder_.file("records"));
  }
  // The store is a block device from now on, and the LUN grows. Returns false if there is none.
  bool take_device();
  bool run(int kills, const std::string& ballastctl);

 private:
  std::string config() const {
    return "file=" + store() + quick + ";fault=" + folder_.file("faults") +
           ";log=" + folder_.file("vol.log") + ";log_size=256MiB;log_order=" + order_;
  }
  std::string store() const { return device_ ? device_->path() : folder_.file("vol.raw"); }
  void rules(const char* text) { std::ofstream{folder_.file("faults")} << text; }
  pid_t begin(bool last);
  bool kill_one(bool first);
  bool store_has_everything();
  // Uniform in 0 to `most`.
  void sleep(int most) {
    std::this_thread::sleep_for(
        std::chrono::microseconds{random_() % (static_cast<std::uint64_t>(most) * 1000)});
  }

  Folder folder_{on_disk};
  std::optional<ballast::test::LoopDevice> device_;
  const std::string order_;
  Random random_;
  Shared& shared_;
  Counts counts_;
};

bool Sweep::take_device() {
  const int file = ::open(folder_.file("device").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  BALLAST_ASSERT(file >= 0 &&
                 ::ftruncate(file, static_cast<off_t>(device_size(lun_blocks).value())) == 0);
  device_.emplace(file);
  for (std::size_t lba = lun_blocks; lba < most_lun_blocks; ++lba) {
    shared_.blocks[lba].answered = anything;
  }
  if (device_->path().empty()) {
    std::printf("no LUN that grows: %s\n", device_->why().c_str());
    device_.reset();
  }
  return device_.has_value();
}

pid_t Sweep::begin(bool last) {
  shared_.ready = false;
  if (shared_.growing_to != shared_.size) {
    ++counts_.growing;
    if (random_() % 2 == 0) {
      shared_.size = shared_.growing_to.load();
    }
    shared_.growing_to = shared_.size.load();
  }
  const std::uint64_t seed = random_();
  const pid_t process = ::fork();
  BALLAST_ASSERT(process >= 0);
  if (process == 0) {
    live(config(), folder_.file("records"), shared_, device_ ? &*device_ : nullptr, seed, last);
  }
  return process;
}

// The first life makes the log, which takes long; it is not ended before.
bool Sweep::kill_one(bool first) {
  rules(random_() % 4 == 0 ? "write,zero,discard freeze\n" : "");
  const pid_t process = begin(false);
  const bool at_opening = !first && random_() % 5 == 0;
  if (at_opening) {
    sleep(150);
  } else {
    int status = 0;
    const bool lives = eventually(
        [&] { return shared_.ready || ::waitpid(process, &status, WNOHANG) != 0; }, 18'000);
    if (!lives || !shared_.ready) {
      std::fprintf(stderr, "after kill %d: no load, status %x\n", counts_.kills, status);
      return false;
    }
    sleep(400);
    if (random_() % 3 == 0) {
      rules("all freeze\n");
      ++counts_.frozen;
      std::this_thread::sleep_for(std::chrono::milliseconds{150});  // the plugin has read it
      sleep(300);
    }
  }
  ::kill(process, SIGKILL);
  int status = 0;
  BALLAST_ASSERT(::waitpid(process, &status, 0) == process);
  ++counts_.kills;
  counts_.at_opening += at_opening ? 1 : 0;
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
    std::fprintf(stderr, "kill %d came too late: status %x\n", counts_.kills, status);
    return false;
  }
  return true;
}

bool Sweep::store_has_everything() {
  std::ifstream store{this->store(), std::ios::binary};
  std::vector<std::byte> data(shared_.size * block_size);
  store.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size()));
  return store.good() && compare(shared_, 0, data, "of the store") == 0;
}

bool Sweep::run(int kills, const std::string& ballastctl) {
  const Clock::time_point began = Clock::now();
  for (int i = 0; i < kills; ++i) {
    if (!kill_one(i == 0)) {
      return false;
    }
  }
  rules("write,zero,discard freeze\n");  // so that something is left to drain
  int status = 0;
  (void)::waitpid(begin(true), &status, 0);
  rules("");
  const std::string drain = ballastctl + " log drain " + folder_.file("vol.log") + " " + store();
  // The kernel may still be ending what the last life had under way, and its files are in use.
  const bool drained =
      status == 0 && eventually([&] { return std::system(drain.c_str()) == 0; }, 200);
  if (!drained || !store_has_everything()) {
    std::fprintf(stderr, "the last life ended with %x, or the drained store is wrong\n", status);
    return false;
  }
  std::printf(
      "log_order=%s%s: %d kills (%d while opening, %d with a frozen store, %d while it grew), "
      "%llu times larger, %llu changes answered; "
      "of the blocks that were under way %llu are new and %llu old; %.0f s\n",
      order_.c_str(), device_ ? ", a device" : "", counts_.kills, counts_.at_opening,
      counts_.frozen, counts_.growing, static_cast<unsigned long long>(shared_.growths),
      static_cast<unsigned long long>(shared_.answered),
      static_cast<unsigned long long>(shared_.happened),
      static_cast<unsigned long long>(shared_.did_not),
      std::chrono::duration<double>(Clock::now() - began).count());
  std::fflush(stdout);
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: kill_sweep BALLASTCTL [KILLS OF EACH KIND]\n");
    return 2;
  }
  if (!has_direct_io(on_disk) || !has_attributes(on_disk)) {
    std::printf("%s has no O_DIRECT or no extended attributes\n", on_disk);
    return 77;
  }
  const int kills = count > 2 ? std::atoi(arguments[2]) : 50;
  const std::uint64_t first = seed();
  struct Kind {
    const char* order;
    bool device;
  };
  for (const Kind kind : {Kind{"epoch", false}, Kind{"free", false}, Kind{"epoch", true}}) {
    void* const memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BALLAST_ASSERT(memory != MAP_FAILED);
    Shared* const shared = new (memory) Shared;
    Sweep sweep{kind.order, first, *shared};
    if (kind.device && !sweep.take_device()) {
      continue;
    }
    if (!sweep.run(kills, arguments[1])) {
      std::fprintf(stderr, "failed with log_order=%s%s\n", kind.order,
                   kind.device ? " on a device" : "");
      return 1;
    }
  }
  return 0;
}
