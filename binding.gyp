{
  # The second door, for tools that know only node-gyp: it runs the same cmake build as `npm ci`.
  "targets": [
    {
      "target_name": "cmake_build",
      "type": "none",
      "actions": [
        {
          "action_name": "install",
          "inputs": [],
          # Never written, so that the action always runs; cmake knows what is out of date.
          "outputs": ["<(INTERMEDIATE_DIR)/always"],
          "action": ["node", "scripts/install.mjs", "--strict"]
        }
      ]
    }
  ]
}
